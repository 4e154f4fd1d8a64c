"""HTML and SVG as values that cannot be forgotten to be escaped.

The law of this file: what is not `Markup` is text and is escaped, and only `tag`, `raw` and `join`
make `Markup`. A text that was pasted together is plain text again, so a mistake shows itself on the
page and runs nothing.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable

LETTERS_MAX = 4_000
"""Of one text: a value of a megabyte is no more readable than its beginning."""
UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]"
)
TURNING = re.compile("[\u202a-\u202e\u2066-\u2069]")
"""Marks that turn the direction of what follows, so that a text reads as another."""
NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9:-]*")
VOID = frozenset({"meta", "br", "link", "input", "hr"})


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


def escape(text: object) -> str:
    """Safe between tags and inside quotes; unprintable letters become `\ufffd`."""
    return whole(clip(str(text), LETTERS_MAX))


def whole(text: str) -> Markup:
    """The same without a limit, for what must not be cut: a path of ours, JSON."""
    plain = UNPRINTABLE.sub("\ufffd", TURNING.sub("\ufffd", text))
    return Markup(html.escape(plain, quote=True))


def clip(text: str, letters: int) -> str:
    """At most that many letters."""
    return text if len(text) <= letters else text[: max(1, letters - 1)] + "…"


def raw(text: str) -> Markup:
    """Markup from a constant of our own. Never from a run."""
    return Markup(text)


def join(parts: Iterable[str], between: str = "") -> Markup:
    """The parts one after the other, text escaped."""
    return Markup(between.join(p if isinstance(p, Markup) else escape(p) for p in parts))


def tag(name: str, /, *children: str | Iterable[str], **attributes: object) -> Markup:
    """One element. `class_` is `class`, `data_x` is `data-x`; None and False are left out, True is
    an attribute without a value. A float is written with one digit. `Markup` as a value has its
    quotes escaped already."""
    words = [name]
    for key, value in attributes.items():
        attribute = key.rstrip("_").replace("_", "-")
        if value is None or value is False:
            continue
        if not NAME.fullmatch(attribute):
            raise ValueError(f"{attribute!r} is no name of an attribute")
        words.append(attribute if value is True else f'{attribute}="{_value(value)}"')
    if name in VOID:
        return Markup(f"<{' '.join(words)}>")
    inner = join(join((c,)) if isinstance(c, str) else join(c) for c in children)
    return Markup(f"<{' '.join(words)}>{inner}</{name}>")


def _value(value: object) -> str:
    if isinstance(value, Markup):
        return value
    if isinstance(value, float):
        return number(value)
    return escape(value)


def number(value: float) -> str:
    """With one digit at most, for coordinates."""
    text = f"{value:.1f}"
    return text[:-2] if text.endswith(".0") else text
