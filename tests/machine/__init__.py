"""Tests of the replicated machine: stories, properties, and planted faults that they must catch."""
