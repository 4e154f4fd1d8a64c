"""Consistency chosen per update: to come, on top of core."""
