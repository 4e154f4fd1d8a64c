"""Tests of the wire and the codec."""
