"""`python -m quorate` and the `quorate` command: hand over to the CLI, nothing else."""

from __future__ import annotations

import sys

from quorate.hosts.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
