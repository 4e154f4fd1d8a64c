"""Hosts: the host object, the admin API, the CLI, the demonstration."""
