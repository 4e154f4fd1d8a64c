"""Owners, links, monitors."""
