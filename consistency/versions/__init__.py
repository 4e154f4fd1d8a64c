"""What orders updates: hybrid logical clocks, version vectors, causal contexts. Pure."""
