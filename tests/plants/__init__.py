"""Plants of the live laboratory: complete, and harmless enough to start."""
