"""Reminders and timers."""
