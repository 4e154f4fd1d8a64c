"""The hazards of the base engine, S1 to S17: each story is told twice, once to plain PySyncObj,
where it must end badly (the positive control), and once to ours, where it must not.
"""
