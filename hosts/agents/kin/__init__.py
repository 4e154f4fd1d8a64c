"""Whose an agent is, and who dies or hears of a death with it. See README.md."""
