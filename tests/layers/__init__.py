"""Layers of state: the cache above all."""
