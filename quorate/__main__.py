"""`python -m quorate` and the `quorate` command: hand over to the CLI, or, for `quorate chaos`
and `quorate bench`, to those of the laboratory and of the measurements; nothing else."""

from __future__ import annotations

import sys


def main() -> int:
    """The process's own arguments in, its exit code out."""
    if sys.argv[1:2] == ["chaos"]:
        from quorate.chaos.cli.main import main as chaos

        return chaos(sys.argv[2:])
    if sys.argv[1:2] == ["bench"]:
        from quorate.bench.__main__ import main as bench

        return bench(sys.argv[2:])
    from quorate.hosts.cli.main import main as hosts

    return hosts()


if __name__ == "__main__":
    sys.exit(main())
