"""The simulator acquits the engine, convicts every plant, and replays bit for bit; its checkers
catch what they are for.
"""
