"""quorate: a cluster in a Python package."""
