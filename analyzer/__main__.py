"""Runs the command line: `python -m analyzer` is the same program as `analyze`."""

import os.path
import sys

# `-m` puts the current folder first on the path, where a user's `reports` would hide macscope's.
if not sys.flags.safe_path and sys.path[0] != os.path.dirname(os.path.dirname(os.path.realpath(__file__))):  # noqa: PTH120 – imported already
    del sys.path[0]

try:
    from analyzer.cli import main

    status = main()
except KeyboardInterrupt:  # While Python imports.
    status = 130
sys.exit(status)
