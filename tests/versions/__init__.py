"""Clocks, vectors and causal contexts."""
