"""`quorate chaos ...`."""
