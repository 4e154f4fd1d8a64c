"""The nemesis: plans from names, turns in virtual time, and whether faults were faults."""
