"""The quorate command: talks to the admin API only."""
