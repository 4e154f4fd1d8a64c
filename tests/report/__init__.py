"""The report of a run: figures as data, the page as facts, and the page in a real browser."""
