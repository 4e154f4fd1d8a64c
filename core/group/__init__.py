"""The group as its users see it: commands in, answers out. See README.md."""
