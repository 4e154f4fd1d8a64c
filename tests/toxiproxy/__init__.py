"""The Toxiproxy that the laboratory manages, tried on a real server."""
