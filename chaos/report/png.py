"""The report as a picture, for a paper or a README: a headless Chromium photographs it.

The law of this file: the browser is a guest. It gets a profile and a page of its own in a temporary
folder, a deadline, and is gone afterwards, whatever happened.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from quorate.chaos.report.page import Scheme, page
from quorate.chaos.report.recorded import read_folder
from quorate.core.errors import ConfigError, Unavailable

PNG = "report.png"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
VARIABLE = "QUORATE_CHROMIUM"
TIMEOUT_S = 60.0
WIDTH_PIXELS = 1104
HEIGHT_PIXELS_MAX = 8_000
"""Of the page; the picture has `SCALE` times as many, and Chromium paints 16 384 at most."""
SCALE = 2
HEIGHT = re.compile(r'data-height="(\d{1,6})"')


def find_browser() -> str | None:
    """`$QUORATE_CHROMIUM`, else the first of `BROWSERS` on the path."""
    named = os.environ.get(VARIABLE)
    if named:
        return shutil.which(named)
    return next((found for name in BROWSERS if (found := shutil.which(name))), None)


def write_png(
    folder: Path,
    *,
    scheme: Scheme = "light",
    paper: bool = True,
    width_px: int = WIDTH_PIXELS,
    target: Path | None = None,
) -> Path:
    """Write `report.png` into the run folder; `paper`: verdict and charts without the tables.

    Raises `ConfigError` when there is no browser, `Unavailable` when it fails or hangs.
    """
    browser = find_browser()
    if browser is None:
        raise ConfigError(
            f"no Chromium to make a picture with: install one (Debian: apt-get install chromium), "
            f"or name it in ${VARIABLE}; {folder}/report.html needs none"
        )
    text = page(read_folder(folder), scheme=scheme, paper=paper)
    where = (target or folder / PNG).resolve()
    with tempfile.TemporaryDirectory(prefix="quorate-png-") as place:
        source = Path(place) / "page.html"
        source.write_text(text, encoding="utf-8", errors="replace")
        photograph(browser, source, where, width_px=width_px)
    return where


def photograph(browser: str, source: Path, target: Path, *, width_px: int = WIDTH_PIXELS) -> str:
    """A picture of the whole page, and its document as the browser had it after the scripts ran.
    Twice over: first to learn how high it is."""
    size = f"--window-size={width_px},900"
    narrow = f"<style>body {{ max-width: {width_px}px; }}</style>"  # no window is under 500 wide
    measured = source.with_suffix(".measured.html")
    text = source.read_text(encoding="utf-8").replace("</head>", f"{narrow}</head>", 1)
    measured.write_text(text, encoding="utf-8")
    document = _browse(browser, (size, "--dump-dom", measured.as_uri()))
    found = HEIGHT.search(document)
    if not found:
        raise Unavailable(f"{browser} did not lay out {source}: it printed {document[:200]!r}")
    height = min(HEIGHT_PIXELS_MAX, int(found[1]))
    draft = source.with_suffix(".png")
    size = f"--window-size={width_px},{height}"
    _browse(browser, (size, f"--screenshot={draft}", source.as_uri()))
    if not draft.is_file() or draft.read_bytes()[:8] != b"\x89PNG\r\n\x1a\n":
        raise Unavailable(f"{browser} made no picture of {source}")
    shutil.move(draft, target)
    return document


def _browse(browser: str, options: Sequence[str]) -> str:
    """Run the browser once, in a group of its own, so that none of its processes is left."""
    with tempfile.TemporaryDirectory(
        prefix="quorate-browser-", ignore_cleanup_errors=True
    ) as profile:
        command = [
            browser,
            "--headless",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
            "--no-first-run",
            "--disable-background-networking",
            f"--force-device-scale-factor={SCALE}",
            f"--user-data-dir={profile}",
            *(["--no-sandbox"] if os.geteuid() == 0 else []),
            *options,
        ]
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            env={**os.environ, "HOME": profile},
        )
        try:
            out, complaint = process.communicate(timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired:
            raise Unavailable(f"{browser} made no picture within {TIMEOUT_S:.0f} s") from None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if process.returncode:
        last = complaint.decode(errors="replace").strip().splitlines()[-1:]
        raise Unavailable(f"{browser} ended with {process.returncode}: {' '.join(last)}")
    return out.decode(errors="replace")
