"""The Raft group: PySyncObj 0.3.17, hardened, over our own journal, wire and driver."""
