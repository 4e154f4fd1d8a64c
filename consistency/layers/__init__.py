"""Layers of state: local, shared, persistent, and cached with one computation in the cluster."""
