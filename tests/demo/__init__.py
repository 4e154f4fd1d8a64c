"""The record and the verdict of the demonstration: every way to cheat it is found."""
