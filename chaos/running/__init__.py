"""One run of the laboratory: a cluster, a load, faults, a verdict, a folder."""
