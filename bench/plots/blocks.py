"""The plain report as blocks, so that Markdown and the page show the same tables as the terminal.

The law of this file: pure; a table is a line of names, a line of dashes, and lines of cells, as
`bench.tables.table` lays them out; everything else is text.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field

_DASHES = re.compile(r"-+(  -+)*")


@dataclass(slots=True)
class Block:
    """Text when `head` is empty, else a table."""

    lines: list[str] = field(default_factory=list[str])
    head: list[str] = field(default_factory=list[str])
    rows: list[list[str]] = field(default_factory=list[list[str]])


def blocks(report: str) -> list[Block]:
    """The report's parts in order; empty lines part texts."""
    found: list[Block] = []
    lines = report.splitlines()
    at = 0
    while at < len(lines):
        if at + 1 < len(lines) and _DASHES.fullmatch(lines[at + 1]):
            spans = [(m.start(), m.end()) for m in re.finditer(r"-+", lines[at + 1])]
            block = Block(head=_cells(lines[at], spans))
            at += 2
            while at < len(lines) and lines[at].strip():
                block.rows.append(_cells(lines[at], spans))
                at += 1
            found.append(block)
        elif lines[at].strip():
            block = Block()
            while at < len(lines) and lines[at].strip():
                if at + 1 < len(lines) and _DASHES.fullmatch(lines[at + 1]):
                    break
                block.lines.append(lines[at])
                at += 1
            found.append(block)
        else:
            at += 1
    return found


def _cells(line: str, spans: list[tuple[int, int]]) -> list[str]:
    return [line[begin:end].strip() for begin, end in spans]


def is_title(block: Block) -> bool:
    """One short line that stands before a table."""
    return len(block.lines) == 1 and len(block.lines[0]) < 60 and ":" not in block.lines[0]


def as_markdown(report: str) -> str:
    """Tables as Markdown tables, titles as headings, other text as it stands."""
    parts: list[str] = []
    for block in blocks(report):
        if block.head:
            rule = ["---", *("---:" for _ in block.head[1:])]
            rows = [block.head, rule, *block.rows]
            parts.append("\n".join(f"| {' | '.join(map(_escaped, row))} |" for row in rows))
        elif is_title(block):
            parts.append(f"## {block.lines[0]}")
        else:
            parts.append("\n".join(["```text", *block.lines, "```"]))
    return "\n\n".join(parts) + "\n"


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|")


def as_html(report: str) -> str:
    """The same for the page; wide tables scroll inside their own box."""
    parts: list[str] = []
    for block in blocks(report):
        if block.head:
            head = "".join(f"<th>{html.escape(cell)}</th>" for cell in block.head)
            body = "".join(
                "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>"
                for row in block.rows
            )
            parts.append(
                f'<div class="wide"><table><thead><tr>{head}</tr></thead>'
                f"<tbody>{body}</tbody></table></div>"
            )
        elif is_title(block):
            parts.append(f"<h3>{html.escape(block.lines[0])}</h3>")
        else:
            parts.append(f"<pre>{html.escape(chr(10).join(block.lines))}</pre>")
    return "\n".join(parts)
