"""The command line, `analyze`: `commands` parse the options, `jobs` do the work and write the result."""

import atexit
import gc
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs `analyze` and returns its exit status."""
    gc.set_threshold(50_000)  # Forty collections during imports would take 5 % of the time of a short command.
    atexit.register(gc.freeze)  # The collection when Python ends would visit all of torch, which takes 0.2 s.
    try:
        from analyzer.cli import app
    except KeyboardInterrupt:
        from analyzer.cli.messages import print_message

        print_message("interrupted")
        return 130
    return app.main(arguments)
