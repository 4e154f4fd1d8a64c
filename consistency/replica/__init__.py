"""One store replica per host: updates in memory, in the log, at the other owners, in that order."""
