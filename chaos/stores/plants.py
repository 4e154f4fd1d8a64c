"""Plants."""
PLANTS = {}
def planted(name, seed): return PLANTS[name](seed)
