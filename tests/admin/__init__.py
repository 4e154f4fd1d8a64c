"""The admin API, told against a stand-in host over real HTTP."""
