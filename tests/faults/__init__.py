"""The faults of the live laboratory, on a cluster that is made up and in virtual time."""
