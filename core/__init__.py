"""The strong core: clock, wire, storage, one Raft group, the replicated machine."""
