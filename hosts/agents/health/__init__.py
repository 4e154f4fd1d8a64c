"""Whether agents are well, and what is done when they are not. See README.md."""
