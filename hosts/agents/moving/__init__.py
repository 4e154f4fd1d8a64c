"""Agents that move to another host while others call them."""
