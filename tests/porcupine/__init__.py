"""An independent checker beside our own."""
