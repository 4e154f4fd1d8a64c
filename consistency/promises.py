"""What each level promises, as data: one place for people, for the front page, and for the tests
that check it.

The law of this file: plain values. Every promise names the tests that fail when it is broken; a
test holds that they exist, and that the README shows exactly these tables. A sentence without a
test is not in here.
"""

from __future__ import annotations

from typing import NamedTuple


class Level(NamedTuple):
    """One level of an update, and the reads that go with it."""

    name: str
    acknowledged_when: str
    in_a_minority: str
    reads: str
    checked_by: tuple[str, ...]
    """pytest ids below `tests/`, of functions."""


class Mixed(NamedTuple):
    """Different levels on one key."""

    when: str
    strong_read: str
    other_reads: str
    checked_by: tuple[str, ...]


LEVELS: tuple[Level, ...] = (
    Level(
        "`strong`",
        "committed by Raft: on the disks of a majority, and applied",
        "refused quickly and certainly not done, or `OutcomeUnknown`; never guessed",
        "`linearizable`: every strong write acknowledged before it began, anywhere",
        (
            "store/test_api.py::test_a_strong_update_has_a_term_and_an_index_and_is_read_linearizably",
            "store/test_cut_off.py::test_each_level_in_a_minority_and_after_the_heal",
            "store/test_table.py::test_the_page_says_what_each_level_does",
            "demo/test_level_record.py::test_each_broken_promise_is_found",
        ),
    ),
    Level(
        "`session`",
        "durable here (group commit); the session's token carries what it wrote and saw",
        "works",
        "`session`: read your writes, monotonic reads, monotonic writes, writes follow reads, on "
        "any host: it waits, asks another, or raises `StaleReplica`; never back in time",
        (
            "store/test_sessions.py::test_a_session_reads_its_writes_on_every_host",
            "store/test_sessions.py::test_a_lagging_host_waits_forwards_or_refuses_and_never_goes_back",
            "store/test_sessions.py::test_a_session_outlives_its_host",
            "store/test_sessions.py::test_what_a_writer_had_seen_is_seen_by_its_readers",
            "store/test_sessions.py::test_a_session_without_its_past_would_be_found",
            "store/test_table.py::test_the_page_says_what_each_level_does",
        ),
    ),
    Level(
        "`eventual`",
        "durable here (group commit); pushed to the other owners afterwards",
        "works; the heal brings it everywhere, and says what it overwrote",
        "`local`: what this host has; `bounded(ms=, versions=)`: not older than that by "
        "replication progress, or `StaleReplica`",
        (
            "store/test_api.py::test_an_eventual_update_is_durable_here_and_comes_everywhere",
            "store/test_life.py::test_a_killed_host_keeps_what_it_acknowledged",
            "replica/test_power_loss.py::test_every_acknowledged_update_is_in_the_log",
            "replica/test_power_loss.py::test_an_acknowledgement_before_the_sync_is_caught",
            "store/test_api.py::test_bounded_reads_hold_what_was_acknowledged_before",
            "store/test_cut_off.py::test_a_severed_bound_is_refused_though_links_are_up",
            "partition/test_reports.py::test_the_report_names_what_was_changed_on_both_sides",
            "store/test_table.py::test_the_page_says_what_each_level_does",
        ),
    ),
    Level(
        "`crdt`",
        "durable here (group commit); merged everywhere",
        "works; both sides count",
        "`local`, `session` or `bounded`: the merged value; equal updates give equal bytes",
        (
            "store/test_handles.py::test_counters_and_flags",
            "crdt/test_laws.py::test_every_kind_keeps_every_law",
            "store/test_cut_off.py::test_each_level_in_a_minority_and_after_the_heal",
            "store/test_table.py::test_the_page_says_what_each_level_does",
        ),
    ),
)

MIXED: tuple[Mixed, ...] = (
    Mixed(
        "a strong write, then an eventual one by a host that has it",
        "the strong value",
        "the eventual value, as it arrives",
        (
            "store/test_api.py::test_mixed_levels_on_one_key",
            "store/test_views.py::test_the_newer_plane_is_shown_and_strong_wins_ties",
        ),
    ),
    Mixed(
        "an eventual write, then a strong one by a host that has it",
        "the strong value",
        "the strong value: it is stamped later than all that host has seen",
        ("store/test_api.py::test_mixed_levels_on_one_key",),
    ),
    Mixed(
        "both, neither knowing of the other",
        "the strong value",
        "the one with the later stamp (hybrid logical clock); strong wins ties",
        ("store/test_views.py::test_the_newer_plane_is_shown_and_strong_wins_ties",),
    ),
    Mixed(
        "a strong delete",
        "nothing",
        "what is older is hidden, what is written later is shown",
        (
            "store/test_views.py::test_a_strong_delete_hides_what_is_older_and_not_what_is_newer",
            "store/test_api.py::test_mixed_levels_on_one_key",
        ),
    ),
    Mixed(
        "`promote(key)`",
        "what a local read showed",
        "the same",
        ("store/test_api.py::test_mixed_levels_on_one_key",),
    ),
    Mixed(
        '`strong` in a minority where the store says `on_partition="degraded"`',
        "the strong value from before; the receipt said `achieved` `eventual`",
        "the value that was written",
        ("store/test_cut_off.py::test_each_level_in_a_minority_and_after_the_heal",),
    ),
    Mixed(
        "a plain value where a CRDT is, or a CRDT where a plain value is",
        "as it was: `WrongType`",
        "as it was: `WrongType`",
        ("store/test_api.py::test_a_type_is_never_changed",),
    ),
)

LEVELS_HEAD = ("level", "acknowledged when", "in a minority", "reads promise", "checked by")
MIXED_HEAD = ("on one key", "a strong read shows", "any other read shows", "checked by")


def levels_table() -> str:
    """The table of the levels in Markdown."""
    return _table(LEVELS_HEAD, [(*row[:-1], _files(row.checked_by)) for row in LEVELS])


def mixed_table() -> str:
    """The table of mixed levels in Markdown."""
    return _table(MIXED_HEAD, [(*row[:-1], _files(row.checked_by)) for row in MIXED])


def _files(ids: tuple[str, ...]) -> str:
    """The files of these tests, each once."""
    names = dict.fromkeys(one.partition("::")[0].removesuffix(".py") for one in ids)
    return ", ".join(f"`{name}`" for name in names)


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
