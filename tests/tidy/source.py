"""A source file as a value, and what rules find in it. Reads the working tree; knows no rule."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LAYERS = ("core", "hosts", "consistency", "chaos", "bench")
FACE = ("quorate/__init__.py", "quorate/__main__.py")
EXEMPT = "# tidy-ok: "
"""A line that ends in this and a reason is let through by the rule that would name it."""


@dataclass(frozen=True)
class Finding:
    """One broken rule: where, and what to do instead."""

    path: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text}"


@dataclass(frozen=True)
class Import:
    """One imported module, `a.b.c`, and whether only the type checker ever sees it."""

    module: str
    names: tuple[str, ...]
    line: int
    typing_only: bool
    level: int


@dataclass(frozen=True)
class Source:
    """A file: its path from the root of the repository with forward slashes, and its text."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, self.path)

    @cached_property
    def nodes(self) -> tuple[ast.AST, ...]:
        """Every node of the tree: each rule looks at all of them."""
        return tuple(ast.walk(self.tree))

    @cached_property
    def imports(self) -> tuple[Import, ...]:
        return tuple(_imports(self.tree, typing_only=False))

    @cached_property
    def lines(self) -> list[str]:
        return self.text.splitlines()

    @property
    def layer(self) -> str:
        return self.path.split("/", 1)[0]

    def find(self, line: int, text: str) -> list[Finding]:
        """A finding on `line`, unless that line carries its reason."""
        if 0 < line <= len(self.lines) and EXEMPT in self.lines[line - 1]:
            return []
        return [Finding(self.path, line, text)]


def _imports(node: ast.AST, *, typing_only: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield Import(alias.name, (), child.lineno, typing_only, 0)
        elif isinstance(child, ast.ImportFrom):
            names = tuple(alias.name for alias in child.names)
            yield Import(child.module or "", names, child.lineno, typing_only, child.level)
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            for statement in child.body:
                yield from _imports(ast.Module([statement], []), typing_only=True)
            for statement in child.orelse:
                yield from _imports(ast.Module([statement], []), typing_only=typing_only)
        else:
            yield from _imports(child, typing_only=typing_only)


@cache
def python_sources() -> list[Source]:
    """Every Python file of the layers, the face and the tests."""
    files = [ROOT / name for name in FACE]
    for folder in (*LAYERS, "tests"):
        files += sorted((ROOT / folder).rglob("*.py"))
    return [_read(file) for file in files if file.exists()]


def text_sources() -> list[Source]:
    """Every file a reader may open: code, pages, settings."""
    pages = [*ROOT.glob("*.md"), *ROOT.glob("*.toml"), ROOT / "Makefile", ROOT / ".ci" / "run"]
    for folder in (*LAYERS, "tests"):
        pages += [*sorted((ROOT / folder).rglob("*.md")), *sorted((ROOT / folder).rglob("*.toml"))]
    return python_sources() + [_read(file) for file in pages if file.exists()]


def _read(file: Path) -> Source:
    return Source(file.relative_to(ROOT).as_posix(), file.read_text(encoding="utf-8"))
