"""A whole state on its way to another host: resumed, checked, installed whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from quorate.core.errors import (
    CorruptStorage,
    Overloaded,
    QuorateError,
    StorageFailed,
    StorageFull,
    UsageError,
)
from quorate.core.storage import folder as folder_module
from quorate.core.storage.folder import DATA_FILE
from quorate.core.storage.generations import FIRST_GENERATION, StateGenerations
from quorate.core.storage.snapshot_files import SnapshotStore
from quorate.core.storage.snapshots import Manifest, check_manifest
from tests.storage.sites import CHUNK_BYTES, FileSite, MemorySite, Site, send


@pytest.fixture(params=["files", "memory"])
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Site, Site]]:
    """A host that has the state and one that needs it."""
    if request.param == "files":
        sites: tuple[Site, Site] = (FileSite(tmp_path / "a"), FileSite(tmp_path / "b"))
    else:
        sites = (MemorySite(), MemorySite())
    yield sites
    for site in sites:
        site.stop()


def test_a_state_travels_whole(pair: tuple[Site, Site]) -> None:
    source, target = pair
    state = source.fill(1)
    manifest = source.export(42)
    assert (manifest["index"], manifest["term"]) == (42, 3)
    assert manifest["config"] == {"members": ["a"]}
    assert source.snapshots.latest() == manifest
    assert send(source, target, manifest) == manifest["size_bytes"]
    assert target.finish(manifest["id"]) is None
    assert target.snapshots.latest() == manifest
    generation, error = target.install(manifest["id"])
    assert error is None
    assert generation is not None
    assert generation != FIRST_GENERATION
    assert target.state_in(generation) == state


def test_a_snapshot_shows_the_state_of_the_call(pair: tuple[Site, Site]) -> None:
    source, target = pair
    state = source.fill(1)
    heard: list[Any] = []
    source.snapshots.export(7, 1, {}, lambda *found: heard.append(found))
    source.engine.writer().put("kv", b"later", b"not in it")
    source.engine.commit_blocking()
    source.run_until(lambda: bool(heard))
    manifest = heard[0][0]
    send(source, target, manifest)
    assert target.finish(manifest["id"]) is None
    generation, _ = target.install(manifest["id"])
    assert generation is not None
    assert target.state_in(generation) == state


def test_a_transfer_goes_on_after_a_restart_of_either_side(pair: tuple[Site, Site]) -> None:
    source, target = pair
    source.fill(2)
    manifest = source.export(5)
    reached = send(source, target, manifest, upto=manifest["size_bytes"] // 2)
    source.stop()
    source.start()
    target.restart()
    assert target.snapshots.begin_receive(manifest) == reached
    send(source, target, manifest)
    assert target.finish(manifest["id"]) is None
    target.restart()
    assert target.snapshots.latest() == manifest
    assert target.snapshots.begin_receive(manifest) == manifest["size_bytes"]


def test_wrong_offsets_are_not_taken_and_answered_with_the_right_one(
    pair: tuple[Site, Site],
) -> None:
    source, target = pair
    source.fill(3)
    manifest = source.export(5)
    name = manifest["id"]
    chunk = source.snapshots.read(name, 0, CHUNK_BYTES)
    target.snapshots.begin_receive(manifest)
    assert target.snapshots.write(name, 500, chunk) == 0
    assert target.snapshots.write(name, 0, chunk) == CHUNK_BYTES
    assert target.snapshots.write(name, 0, chunk) == CHUNK_BYTES
    assert target.snapshots.write(name, 2 * CHUNK_BYTES, chunk) == CHUNK_BYTES
    with pytest.raises(UsageError, match="past the end"):
        target.snapshots.write(name, CHUNK_BYTES, bytes(manifest["size_bytes"]))
    with pytest.raises(UsageError, match="not being received"):
        target.snapshots.write("1-1-" + "0" * 32, 0, chunk)
    send(source, target, manifest)
    assert target.finish(name) is None


def test_one_changed_byte_is_found_and_the_partial_thrown_away(pair: tuple[Site, Site]) -> None:
    source, target = pair
    source.fill(4)
    manifest = source.export(5)
    offset = target.snapshots.begin_receive(manifest)
    while offset < manifest["size_bytes"]:
        data = bytearray(source.snapshots.read(manifest["id"], offset, CHUNK_BYTES))
        if offset == 3 * CHUNK_BYTES:
            data[17] ^= 1
        offset = target.snapshots.write(manifest["id"], offset, bytes(data))
    error = target.finish(manifest["id"])
    assert isinstance(error, CorruptStorage)
    assert "thrown away" in str(error)
    assert target.snapshots.latest() is None
    assert target.snapshots.begin_receive(manifest) == 0
    send(source, target, manifest)
    assert target.finish(manifest["id"]) is None


def test_an_incomplete_transfer_does_not_finish(pair: tuple[Site, Site]) -> None:
    source, target = pair
    source.fill(5)
    manifest = source.export(5)
    send(source, target, manifest, upto=CHUNK_BYTES)
    assert isinstance(target.finish(manifest["id"]), CorruptStorage)
    assert isinstance(target.finish(manifest["id"]), UsageError)
    assert isinstance(target.install(manifest["id"])[1], UsageError)


def test_two_are_kept_and_one_partial(pair: tuple[Site, Site]) -> None:
    source, target = pair
    made: list[Manifest] = []
    for index in (10, 20, 30):
        source.fill(index)
        made.append(source.export(index))
    assert source.snapshots.latest() == made[2]
    assert source.snapshots.read(made[0]["id"], 0, 10) is None
    assert source.snapshots.read(made[1]["id"], 0, 10) is not None
    assert source.snapshots.read(made[1]["id"], made[1]["size_bytes"], 10) == b""
    send(source, target, made[1], upto=CHUNK_BYTES)
    send(source, target, made[2], upto=CHUNK_BYTES)
    assert target.snapshots.begin_receive(made[1]) == 0
    target.snapshots.drop_partial(made[1]["id"])
    assert target.snapshots.statistics()["receiving"] is None


def test_a_second_export_is_refused_while_one_runs(pair: tuple[Site, Site]) -> None:
    source, _ = pair
    source.fill(6)
    heard: list[Any] = []
    source.snapshots.export(1, 1, {}, lambda *found: heard.append(found))
    source.snapshots.export(2, 1, {}, lambda *found: heard.append(found))
    assert isinstance(heard[0][1], Overloaded)
    source.run_until(lambda: len(heard) == 2)
    assert heard[1][1] is None


def test_a_malformed_manifest_is_refused(pair: tuple[Site, Site]) -> None:
    source, target = pair
    source.fill(7)
    good = source.export(1)
    assert check_manifest(good) == good
    wrong: list[object] = [
        None,
        [],
        {},
        {**good, "id": "../../etc/passwd"},
        {**good, "id": good["id"][:-1] + "/"},
        {**good, "sha256": "0" * 64},
        {**good, "index": -1},
        {**good, "index": True},
        {**good, "size_bytes": 0},
        {**good, "size_bytes": 1 << 60},
        {**good, "format": 2},
        {**good, "more": 1},
        {name: value for name, value in good.items() if name != "term"},
    ]
    for manifest in wrong:
        with pytest.raises(UsageError):
            target.snapshots.begin_receive(manifest)
    assert target.snapshots.statistics()["receiving"] is None


# --- files only: kills at every step --------------------------------------------------------------


class Killed(BaseException):
    """The process died here."""


KILL_POINTS = ("rename", "replace", "fsync", "unlink", "mkdir", "open")


@pytest.fixture
def killer(monkeypatch: pytest.MonkeyPatch) -> Callable[[int | None], list[int]]:
    """Counts file operations and kills before the wanted one."""

    def arm(at: int | None) -> list[int]:
        seen = [0]
        monkeypatch.undo()
        for owner, name in (
            (Path, "rename"),
            (Path, "replace"),
            (Path, "unlink"),
            (Path, "mkdir"),
            (os, "fsync"),
            (shutil, "copyfile"),
        ):
            usual = getattr(owner, name)

            def step(*args: Any, _usual: Any = usual, **options: Any) -> Any:
                seen[0] += 1
                if at is not None and seen[0] == at:
                    raise Killed
                return _usual(*args, **options)

            monkeypatch.setattr(owner, name, step)
        return seen

    return arm


def test_a_kill_at_each_step_of_a_receive_leaves_all_or_a_partial_or_nothing(
    tmp_path: Path, killer: Callable[[int | None], list[int]]
) -> None:
    source = FileSite(tmp_path / "a")
    state = source.fill(8)
    manifest = source.export(9)
    data = source.snapshots.read(manifest["id"], 0, manifest["size_bytes"])
    source.stop()

    def receive(place: Path) -> None:
        generations = StateGenerations(place / "state")
        store = SnapshotStore(
            place / "snapshots",
            engine=lambda: source.engine,
            generations=generations,
            post=lambda callback: callback(),
        )
        half = manifest["size_bytes"] // 2
        for offset in (store.begin_receive(manifest), half):
            store.write(manifest["id"], offset, data[offset : offset + half])
        store._verify(manifest)  # the worker's part, here on this thread
        store._on_finished(manifest, lambda error: None, None, None)
        name = generations.create_from(store._path(manifest["id"], "snap"))
        generations.remove_others(name)

    steps = killer(None)
    receive(tmp_path / "whole")
    total = steps[0]
    assert total > 12
    for at in range(1, total + 1):
        place = tmp_path / f"kill-{at}"
        killer(at)
        with pytest.raises(Killed):
            receive(place)
        killer(None)
        again = FileSite(place)
        names = again.generations.names()
        for name in names[1:]:
            assert again.state_in(name) == state
        offset = again.snapshots.begin_receive(manifest)
        assert 0 <= offset <= manifest["size_bytes"]
        if offset < manifest["size_bytes"]:
            again.snapshots.write(manifest["id"], offset, data[offset:])
        assert again.finish(manifest["id"]) is None
        generation, error = again.install(manifest["id"])
        assert error is None
        assert generation is not None
        assert again.state_in(generation) == state
        litter = [path.name for path in place.rglob("*") if path.suffix in (".new", ".tmp")]
        assert litter == []
        again.stop()
        shutil.rmtree(place)


def test_only_the_generation_in_force_is_kept(tmp_path: Path) -> None:
    site = FileSite(tmp_path / "a")
    state = site.fill(10)
    manifest = site.export(1)
    first, _ = site.install(manifest["id"])
    second, _ = site.install(manifest["id"])
    assert first is not None
    assert second is not None
    assert site.generations.names() == [FIRST_GENERATION, first, second]
    site.generations.remove_others(first)
    assert site.generations.names() == [first]
    assert site.state_in(first) == state
    with pytest.raises(UsageError):
        site.generations.path_of("../elsewhere")
    site.stop()


def test_a_damaged_snapshot_file_does_not_become_a_generation(tmp_path: Path) -> None:
    generations = StateGenerations(tmp_path / "state")
    (tmp_path / "bad").write_bytes(b"no database" * 1000)
    with pytest.raises(CorruptStorage):
        generations.create_from(tmp_path / "bad")
    with pytest.raises(StorageFailed):
        generations.create_from(tmp_path / "not there")
    assert list((tmp_path / "state").iterdir()) == []


def test_no_room_is_said_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = FileSite(tmp_path / "a"), FileSite(tmp_path / "b")
    source.fill(11)
    manifest = source.export(1)
    monkeypatch.setattr(
        "quorate.core.storage.snapshot_files.free_bytes", lambda path: manifest["size_bytes"]
    )
    with pytest.raises(StorageFull, match="does not fit"):
        target.snapshots.begin_receive(manifest)
    heard: list[Any] = []
    source.snapshots.export(2, 1, {}, lambda *found: heard.append(found))
    assert isinstance(heard[0][1], StorageFull)
    assert isinstance(source.install(manifest["id"])[1], StorageFull)
    assert folder_module.free_bytes(tmp_path) > 0
    source.stop()
    target.stop()


def test_litter_and_damaged_manifests_are_removed_at_the_start(tmp_path: Path) -> None:
    site = FileSite(tmp_path / "a")
    site.fill(12)
    manifest = site.export(1)
    site.stop()
    place = tmp_path / "a" / "snapshots"
    (place / "exporting.tmp").write_bytes(b"half")
    (place / "1-1-00.manifest").write_bytes(b"\xff\xff")
    (place / "1-1-00.snap").write_bytes(b"orphan")
    site.start()
    assert site.snapshots.latest() == manifest
    assert sorted(path.suffix for path in place.iterdir()) == [".manifest", ".snap"]
    assert (site.generations.path_of(FIRST_GENERATION) / DATA_FILE).exists()
    os.truncate(place / f"{manifest['id']}.snap", 100)
    site.restart()
    assert site.snapshots.latest() is None
    assert list(place.iterdir()) == []
    assert issubclass(CorruptStorage, QuorateError)
    site.stop()
