"""Stories about the judges of histories: what they must pass, refute, and leave undecided."""
