"""Workloads: their judges against histories written by hand, with a fault planted and without."""
