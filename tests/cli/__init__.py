"""The quorate command, told against a stand-in host behind the real admin API."""
