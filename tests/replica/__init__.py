"""The store replica: replication, recovery, collection, conflicts, in virtual time."""
