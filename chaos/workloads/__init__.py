"""Workloads: what clients do while the network is cut, and how it is judged."""
