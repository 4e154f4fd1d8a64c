"""Host processes and links, with a worker that does nothing but answer, and a real Toxiproxy."""
