"""The working tree keeps every rule. A failure names the line and what to do instead."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.tidy import rules
from tests.tidy.source import ROOT, Finding, Source, python_sources, text_sources

Rule = Callable[[Source], list[Finding]]


@pytest.mark.parametrize("rule", rules.PYTHON_RULES, ids=lambda rule: rule.__name__)
def test_code_keeps_the_rule(rule: Rule) -> None:
    findings = [str(finding) for source in python_sources() for finding in rule(source)]
    assert not findings, "\n" + "\n".join(findings)


@pytest.mark.parametrize("rule", rules.TEXT_RULES, ids=lambda rule: rule.__name__)
def test_every_page_keeps_the_rule(rule: Rule) -> None:
    findings = [str(finding) for source in text_sources() for finding in rule(source)]
    assert not findings, "\n" + "\n".join(findings)


def test_the_lock_names_no_host() -> None:
    """The lock installs from any index or mirror: hashes, no addresses."""
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert "://" not in text
    assert text.count("--hash=sha256:") > 100


def test_every_layer_has_its_page() -> None:
    for folder in ("core", "hosts", "consistency", "chaos", "bench", "tests"):
        assert (ROOT / folder / "README.md").is_file(), f"{folder}/README.md is missing"


def test_the_tables_name_files_that_exist() -> None:
    """A rule that excuses a file that is gone excuses the next one of that name."""
    for path in (*rules.SHELLS, *rules.DECIDERS, *rules.LONG):
        assert (ROOT / path).exists(), f"tests/tidy/rules.py names {path}, which does not exist"
