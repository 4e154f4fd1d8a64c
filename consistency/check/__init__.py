"""Judges of recorded histories: was each level's promise kept? Pure: events in, a verdict out."""
