"""Agents: names, messages, turns, moves, and what holds them in one place."""
