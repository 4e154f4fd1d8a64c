"""What a replica keeps in memory of states that are on its disk, and how it reads them back."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from quorate.consistency.replica.definitions import ReplicaConfig
from quorate.consistency.replica.states import (
    CrdtState,
    RegisterEntry,
    RegisterState,
    state_of,
    state_on_disk,
)
from quorate.core import codec
from tests.replica.test_power_loss import Opened

KEPT = 50
KEYS = 400

NUMBERS = st.integers(1, (1 << 63) - 1)
VECTORS = st.dictionaries(NUMBERS, NUMBERS, max_size=3)
ENTRIES = st.builds(
    RegisterEntry, NUMBERS, NUMBERS, NUMBERS, st.none() | st.binary(), st.none() | VECTORS
)


@given(st.lists(ENTRIES, max_size=3, unique_by=lambda e: (e.actor, e.seq)), VECTORS)
def test_a_state_comes_back_from_the_own_disk_as_it_would_from_outside(
    entries: list[RegisterEntry], context: dict[int, int]
) -> None:
    for entry in entries:
        context[entry.actor] = max(entry.seq, context.get(entry.actor, 0))
    wire = codec.loads(RegisterState(sorted(entries), context).encode()[1], depth_max=40)
    quick, slow = state_on_disk(wire), state_of(wire)
    assert isinstance(quick, RegisterState) and isinstance(slow, RegisterState)
    assert (quick.entries, quick.context) == (slow.entries, slow.context)
    assert quick.encode() == slow.encode()


def test_reads_of_more_keys_than_are_kept_do_not_fill_the_memory(tmp_path: Path) -> None:
    opened = Opened(tmp_path, ReplicaConfig(cache_keys_max=KEPT))
    replica, told = opened.replica, list[Exception | None]()
    for number in range(KEYS):
        replica.put("s", f"k{number}", codec.encode_value(number))
    replica.operate("s", "counter", "pn_counter", "increment", [5])
    opened.owner.run_until(lambda: opened.hooks.seq >= replica.head)
    replica.flush(told.append)
    opened.owner.run_until(lambda: bool(told))
    shelf = replica.shelf.stores["s"]
    assert len(shelf.states) == KEPT
    counter = replica.read("s", "counter")
    assert isinstance(counter, CrdtState)
    for number in range(KEYS):
        state = replica.read("s", f"k{number}")
        assert isinstance(state, RegisterState)
        assert state.entries[0].value == codec.encode_value(number)
        assert len(shelf.states) <= KEPT * 1.1
    replica.put("s", "k0", codec.encode_value("dirty"))
    for number in range(1, KEYS):
        replica.read("s", f"k{number}")
    assert "k0" in shelf.states, "what is not on the disk yet stays"
    opened.close()
