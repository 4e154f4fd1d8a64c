"""The live laboratory: host processes, the links between them, what a workload may touch."""
