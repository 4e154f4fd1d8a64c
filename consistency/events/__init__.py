"""Event sourcing: append what happened, read it in order, rebuild any state from it."""
