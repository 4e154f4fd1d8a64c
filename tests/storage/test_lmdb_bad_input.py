"""Damaged files, foreign folders, second owners: each is refused with a reason, and nothing is
changed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from quorate.core.errors import CorruptStorage, QuorateError, WrongDataFolder
from quorate.core.storage.folder import DATA_FILE, check_data_file, verify_data_file
from quorate.core.storage.records import seal, seed_of
from tests.storage.storage_tools import lmdb_bench


def filled(folder: Path, records: int = 200) -> Path:
    bench = lmdb_bench(folder)
    for number in range(records):
        bench.engine.writer().put("log", b"key-%06d" % number, b"value-%06d" % number * 10)
    assert bench.commit() is None
    bench.engine.close()
    return folder


def refusal(folder: Path) -> str:
    """Opening and reading everything ends with an error; its text."""
    with pytest.raises((CorruptStorage, WrongDataFolder)) as caught:
        bench = lmdb_bench(folder)
        try:
            bench.engine.scan("log")
        finally:
            bench.engine.close()
    return str(caught.value)


def test_every_flipped_byte_of_a_record_is_detected(tmp_path: Path) -> None:
    folder = filled(tmp_path / "db", records=20)
    data = (folder / DATA_FILE).read_bytes()
    key = b"key-000007"
    stored = seal(seed_of("log"), key, b"value-000007" * 10)
    places = [at for at in range(len(data)) if data.startswith(stored, at)]
    assert places
    for offset in range(-len(key), len(stored)):
        changed = bytearray(data)
        for at in places:
            changed[at + offset] ^= 0x40
        (folder / DATA_FILE).write_bytes(changed)
        text = refusal(folder)
        assert "'log'" in text
        assert str(folder / DATA_FILE) in text
        assert "join again" in text
    (folder / DATA_FILE).write_bytes(data)
    bench = lmdb_bench(folder)
    assert bench.engine.get("log", key) == b"value-000007" * 10
    bench.engine.close()


def test_a_get_of_a_damaged_value_says_which_record(tmp_path: Path) -> None:
    folder = filled(tmp_path / "db", records=3)
    data = (folder / DATA_FILE).read_bytes()
    (folder / DATA_FILE).write_bytes(data.replace(b"value-000001value", b"value-000001valuE"))
    bench = lmdb_bench(folder)
    assert bench.engine.get("log", b"key-000000") == b"value-000000" * 10
    with pytest.raises(CorruptStorage, match=b"key-000001".hex()):
        bench.engine.get("log", b"key-000001")
    bench.engine.close()


@pytest.mark.parametrize("kept_pages", [0.0, 0.5, 1, 1.5, 2, 3, 5.25])
def test_a_file_that_was_cut_off_is_refused_and_not_mapped(
    tmp_path: Path, kept_pages: float
) -> None:
    folder = filled(tmp_path / "db")
    os.truncate(folder / DATA_FILE, int(kept_pages * 4096))
    assert "damaged" in refusal(folder)


def test_a_file_that_vanished_is_told_from_a_new_folder(tmp_path: Path) -> None:
    folder = filled(tmp_path / "db")
    (folder / DATA_FILE).unlink()
    assert "missing or empty although the folder was initialised" in refusal(folder)


def test_garbage_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "db"
    folder.mkdir()
    (folder / DATA_FILE).write_bytes(b"this is not a database\n" * 1000)
    assert "not an LMDB meta page" in refusal(folder)


def test_pages_that_do_not_fit_together_are_found_by_the_walk(tmp_path: Path) -> None:
    folder = filled(tmp_path / "db")
    verify_data_file(folder)
    data = bytearray((folder / DATA_FILE).read_bytes())
    data[3 * 4096 : 4 * 4096] = bytes(4096)
    (folder / DATA_FILE).write_bytes(data)
    with pytest.raises(CorruptStorage, match="do not fit together"):
        verify_data_file(folder)


def test_a_sound_file_shorter_than_its_last_page_is_stretched(tmp_path: Path) -> None:
    """LMDB never writes pages that one transaction took and gave back: the end may be missing."""
    folder = tmp_path / "db"
    bench = lmdb_bench(folder)
    bench.engine.writer().put("log", b"k", b"v")
    assert bench.commit() is None
    for number in range(2000):
        bench.engine.writer().put("log", b"%06d" % number, b"x" * 500)
    bench.engine.writer().delete_range("log", b"0", b"9")
    assert bench.commit() is None
    bench.engine.close()
    path = folder / DATA_FILE
    meta = check_data_file(folder, initialised=True)
    assert meta is not None
    assert path.stat().st_size >= (meta.last_page + 1) * meta.page_size_bytes
    bench = lmdb_bench(folder)
    assert bench.engine.scan("log") == [(b"k", b"v")]
    bench.engine.close()


def test_another_format_version_is_refused(tmp_path: Path) -> None:
    folder = filled(tmp_path / "db")
    with pytest.raises(WrongDataFolder, match="release that wrote it"):
        lmdb_bench(folder, format_version=2)
    lmdb_bench(folder).engine.close()


def test_a_folder_of_another_host_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "db"
    bench = lmdb_bench(folder, identity={"host": "a"})
    bench.engine.close()
    lmdb_bench(folder, identity={"host": "a", "cluster": "x"}).engine.close()
    with pytest.raises(WrongDataFolder, match="host 'a', not to host 'b'"):
        lmdb_bench(folder, identity={"host": "b", "cluster": "x"})
    with pytest.raises(WrongDataFolder, match="cluster 'x'"):
        lmdb_bench(folder, identity={"host": "a", "cluster": "y"})


def test_somebody_elses_database_is_refused(tmp_path: Path) -> None:
    made = subprocess.run(
        [
            sys.executable,
            "-c",
            "import lmdb, sys\n"
            "with lmdb.open(sys.argv[1], lib_version=int(sys.argv[2])) as env:\n"
            "    with env.begin(write=True) as txn: txn.put(b'k', b'v')\n",
            str(tmp_path / "foreign"),
            "0",
        ],
        check=False,
    )
    assert made.returncode == 0
    assert "did not write" in refusal(tmp_path / "foreign")


def test_a_second_engine_is_told_who_holds_the_folder(tmp_path: Path) -> None:
    bench = lmdb_bench(tmp_path / "db")
    with pytest.raises(WrongDataFolder, match="in use by this process"):
        lmdb_bench(tmp_path / "db")
    child = (
        "import sys\n"
        "from quorate.core.storage.lmdb_engine import LmdbEngine\n"
        "try:\n"
        "    LmdbEngine(sys.argv[1], tables=['log', 'meta'], post=None, format_version=1)\n"
        "except Exception as error:\n"
        "    print(type(error).__name__, error)\n"
    )
    root = Path(__file__).resolve().parents[2]
    told = subprocess.run(
        [sys.executable, "-c", child, str(tmp_path / "db")],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(root)},
    ).stdout
    assert told.startswith("WrongDataFolder")
    assert f"process {os.getpid()}" in told
    bench.engine.close()
    lmdb_bench(tmp_path / "db").engine.close()


def test_an_engine_that_could_not_open_leaves_the_folder_free(tmp_path: Path) -> None:
    folder = filled(tmp_path / "db")
    good = tmp_path / "good"
    shutil.copytree(folder, good)
    (folder / DATA_FILE).write_bytes(b"x" * 20000)
    for _ in range(3):
        with pytest.raises(QuorateError, match="damaged"):
            lmdb_bench(folder)
    (folder / DATA_FILE).write_bytes((good / DATA_FILE).read_bytes())
    bench = lmdb_bench(folder)
    assert len(bench.engine.scan("log")) == 200
    bench.engine.close()
