"""Where agents go: choices, loads, placing again, balancing."""
