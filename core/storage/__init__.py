"""Durable tables: LMDB and its model in memory behind one protocol. See README.md."""
