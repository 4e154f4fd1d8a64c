"""Whole hosts: real sockets, real LMDB, one process; every wait is for an event and bounded."""
