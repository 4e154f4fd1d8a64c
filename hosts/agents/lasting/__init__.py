"""What an agent does later: reminders, which last, and timers, which do not. See README.md."""
