"""Real processes, real kills, real time. The only tests that may sleep."""
