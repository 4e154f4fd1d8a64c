"""CRDTs: one law suite over every kind, planted wrong versions of it, stories, hostile bytes."""
