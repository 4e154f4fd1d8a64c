"""Agents in virtual time: the group beneath them, seeds that hold, and faults that are found."""
