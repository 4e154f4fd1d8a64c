"""Patterns over names and keys: `cart:*` matches what begins so, `*user:1*` what contains it; `*`
is any run of characters.

The law of this file: only `*` is special, and a match takes time in proportion to the text,
whatever the pattern (no backtracking).
"""

from __future__ import annotations


class Pattern:
    """A pattern, split at its stars once."""

    __slots__ = ("_middles", "_suffix", "literal_prefix", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        parts = text.split("*")
        self.literal_prefix = parts[0]
        """What every match begins with; the whole pattern when it has no star."""
        self._suffix = parts[-1] if len(parts) > 1 else None
        self._middles = [part for part in parts[1:-1] if part]

    def matches(self, text: str) -> bool:
        if self._suffix is None:
            return text == self.literal_prefix
        if not text.startswith(self.literal_prefix) or not text.endswith(self._suffix):
            return False
        at = len(self.literal_prefix)
        end = len(text) - len(self._suffix)
        for middle in self._middles:
            found = text.find(middle, at, end)
            if found < 0:
                return False
            at = found + len(middle)
        return at <= end


def containing(text: str) -> str:
    """The pattern of what contains `text` (which holds no star)."""
    return f"*{text}*"
