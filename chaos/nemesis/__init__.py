"""Who hurts the cluster, when, and whether it showed."""
