"""The state of agents: turns committed, recovered, counted and cleaned."""
