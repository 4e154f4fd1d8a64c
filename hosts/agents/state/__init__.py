"""`self.state`: the part of the cluster's state that belongs to one agent. See README.md."""
