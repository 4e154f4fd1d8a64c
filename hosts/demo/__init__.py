"""The demonstration: real processes, a leader killed in full load, everything counted."""
