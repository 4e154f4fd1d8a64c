"""The replicated machine: what the committed log means. Pure and deterministic, without IO.

Every host feeds the same entries to its `Machine` and gets the same state, results and digest.
State lives in the handed-in store; nothing here holds all keys in memory.
"""
