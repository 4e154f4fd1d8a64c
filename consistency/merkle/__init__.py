"""Digests over key ranges, and the exchange that repairs two replicas by them."""
