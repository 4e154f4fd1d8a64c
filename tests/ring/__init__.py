"""Tests of placement, of the steward and of the mover."""
