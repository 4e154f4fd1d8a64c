"""Faults planted on purpose into real host processes."""
