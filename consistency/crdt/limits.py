"""How large a CRDT may become.

The law of this file: an operation past a limit is refused where it is made (`LimitExceeded`,
nothing changed). A merge is never refused: two replicas may have filled a set to its limit apart.
"""

from __future__ import annotations

from typing import Final

ELEMENT_BYTES_MAX: Final = 64 * 1024
"""One element of a set, one item of a sequence, encoded."""
REGISTER_BYTES_MAX: Final = 1024 * 1024
SET_ELEMENTS_MAX: Final = 1_000_000
SEQUENCE_ITEMS_MAX: Final = 1_000_000
INSERT_ITEMS_MAX: Final = 10_000
"""Items of one `insert`."""
MAP_KEYS_MAX: Final = 100_000
MAP_KEY_BYTES_MAX: Final = 1024
MAP_DEPTH_MAX: Final = 8
"""An or_map in an or_map in an or_map ..."""
AMOUNT_BITS_MAX: Final = 63
"""One increment."""
TOTAL_BITS_MAX: Final = 127
"""What one actor may add up to in one counter."""
PATH_LEVELS_MAX: Final = 256
"""How deep one position of a sequence may nest in others."""
PATH_LEVELS_TOTAL_MAX: Final = 8_000_000
"""All positions of one decoded sequence together."""
