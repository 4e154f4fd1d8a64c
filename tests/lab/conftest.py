"""The Toxiproxy server's file, for every test here."""

from __future__ import annotations

from tests.chaos_server import toxiproxy_binary

__all__ = ["toxiproxy_binary"]
