"""Runs: options, verdicts, folders, the table of a suite; without any process."""
