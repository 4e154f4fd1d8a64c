"""The faults of the live laboratory: what each does, what it cannot do, and a picture."""
