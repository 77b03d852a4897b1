"""Runs the command line: `python -m analyzer` is the same program as `analyze`."""

import sys
from pathlib import Path

# `-m` puts the current folder first on the path, where a user's `reports` would hide macscope's.
if not sys.flags.safe_path and sys.path[0] != str(Path(__file__).resolve().parents[1]):
    del sys.path[0]

from analyzer.cli import main

sys.exit(main())
