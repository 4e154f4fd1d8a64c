"""The page in a real browser, headless: laid out, its script run, photographed.

Where there is no Chromium the set-up tries to install Debian's; where that cannot be done the test
is skipped with the reason, except in CI, where it fails.
"""

from __future__ import annotations

import os
import re
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from quorate.chaos.report import png
from quorate.chaos.report.page import page
from quorate.chaos.report.recorded import read_folder
from quorate.core.errors import ConfigError, Unavailable
from tests.report.tell import parse
from tests.report.world import Cut, Scene, make

INSTALL_S = 300
PHONE_PIXELS = 390
POINT = """<script>
var chart = document.querySelector("#pace svg.narrow"), box = chart.getBoundingClientRect();
var where = { bubbles: true, clientX: box.left + box.width * 0.6, clientY: box.top + 20 };
chart.dispatchEvent(new PointerEvent("pointermove", where));
document.documentElement.dataset.said = document.getElementById("tip").textContent;
document.documentElement.dataset.lines = document.querySelectorAll("svg .cursor").length;
chart.dispatchEvent(new PointerEvent("pointermove", { bubbles: true, clientX: 0, clientY: 0 }));
document.documentElement.dataset.left = document.querySelectorAll("svg .cursor").length;
document.getElementById("scheme").click();
</script>"""
"""A finger on the chart of the pace, then beside it; then on the button."""


@pytest.fixture(scope="session")
def browser() -> str:
    reason = ""
    if png.find_browser() is None:
        reason = install()
    found = png.find_browser()
    if found is None:
        message = f"no Chromium here: {reason}"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return found


def install() -> str:
    """Debian's, when this is Debian and we may. Why not, when not."""
    if shutil.which("apt-get") is None:
        return "no apt-get to install one with"
    if os.geteuid() != 0:
        return "only root may install one"
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (
        ["apt-get", "update", "-q"],
        ["apt-get", "install", "-y", "-q", "--no-install-recommends", "chromium"],
    ):
        try:
            done = subprocess.run(
                command, capture_output=True, timeout=INSTALL_S, env=environment, check=False
            )
        except subprocess.TimeoutExpired:
            return f"{' '.join(command)} took over {INSTALL_S} s"
        if done.returncode:
            last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
            return f"{' '.join(command)}: {' '.join(last)}"
    return "chromium was installed and is not on the path"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    scene = Scene(stale=True, seconds=8.0, cuts=(Cut("a", 2.0, 6.5),))
    return make(scene).write(tmp_path_factory.mktemp("runs") / "run")


def size(picture: Path) -> tuple[int, int]:
    head = picture.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    return struct.unpack(">II", head[16:24])


def test_the_page_is_laid_out_and_its_script_runs_on_a_phone(
    browser: str, folder: Path, tmp_path: Path
) -> None:
    source = tmp_path / "page.html"
    text = page(read_folder(folder), scheme="dark")
    source.write_text(text.replace("</body>", f"{POINT}</body>"), encoding="utf-8")
    picture = tmp_path / "page.png"
    document = png.photograph(browser, source, picture, width_px=PHONE_PIXELS)
    facts = parse(document).all("html")[0].attributes
    assert facts["data-verdict"] == "broken"
    assert int(facts["data-height"]) > 3000
    assert int(facts["data-width"]) <= PHONE_PIXELS, "it must not scroll sideways"
    assert "data-trouble" not in facts, "the script threw"
    assert re.match(r"[34]\.\d\d s\nread [\d.]+/s", facts["data-said"]), facts["data-said"]
    assert int(facts["data-lines"]) >= 10, "one line crosses all charts"
    assert facts["data-left"] == "0"
    assert facts["data-scheme"] == "light", "the button changes the scheme"
    wide, high = size(picture)
    assert wide == PHONE_PIXELS * png.SCALE
    assert abs(high - min(int(facts["data-height"]), png.HEIGHT_PIXELS_MAX) * png.SCALE) <= 4
    assert picture.stat().st_size > 100_000, "an empty picture is smaller"


def test_a_picture_for_a_paper(browser: str, folder: Path) -> None:
    target = png.write_png(folder)
    assert target == (folder / "report.png").resolve()
    wide, high = size(target)
    assert wide == png.WIDTH_PIXELS * png.SCALE
    assert high > 1000 * png.SCALE
    assert not [path for path in folder.iterdir() if path.suffix == ".html"]


def test_without_a_browser_the_error_says_what_to_do(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(png.VARIABLE, "no-such-browser")
    with pytest.raises(ConfigError, match="apt-get install chromium"):
        png.write_png(folder)


@pytest.mark.parametrize(
    ("script", "complaint"),
    [
        ("exit 3", "ended with 3"),
        ("echo hello", "did not lay out"),
        ("echo '<html data-height=\"10\">'", "made no picture"),
        ("exec tail -f /dev/null", "within"),
    ],
)
def test_a_browser_that_fails_is_told(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, complaint: str
) -> None:
    fake = tmp_path / "browser"
    fake.write_text(f"#!/bin/sh\n{script}\n")
    fake.chmod(0o755)
    monkeypatch.setenv(png.VARIABLE, str(fake))
    monkeypatch.setattr(png, "TIMEOUT_S", 0.5 if complaint == "within" else 30.0)
    with pytest.raises(Unavailable, match=re.escape(complaint)):
        png.write_png(folder, target=tmp_path / "x.png")
    assert not (tmp_path / "x.png").exists()
