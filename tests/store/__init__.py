"""Stores: what each level promises, on real hosts in one process, and the pure parts alone."""
