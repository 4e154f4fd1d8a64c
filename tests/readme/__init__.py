"""The front page is held to its word."""
