"""The measurements' own tests: figures must be right before they are good."""
