"""Where agents go, and where they go again when a host ends, joins or has too much."""
