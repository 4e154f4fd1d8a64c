"""Measurements of quorate beside its peers."""
