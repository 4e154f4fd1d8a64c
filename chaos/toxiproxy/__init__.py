"""A real Toxiproxy: found or built, started, asked, and ended."""
