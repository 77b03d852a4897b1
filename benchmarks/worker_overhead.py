"""Time that the worker process adds to a whole count of a reference, compared with another checkout:
`python -m benchmarks.worker_overhead CHECKOUT [--rounds 30]`. CHECKOUT is one that counts in the command's own process.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.common import interleave, parse_options

NET = "import torch\nA = B = C = D = E = lambda: torch.nn.Linear(4, 2)\ninputs = lambda: torch.zeros(3, 4)\n"
FIVE = [f"net.py:{name}" for name in "ABCDE"]
GOAL_S = 0.060


def command(checkout: Path, folder: str, *references: str) -> Callable[[], object]:
    """A process that counts the references with the code of a checkout."""
    arguments = [word for reference in references for word in ("--model", reference)]
    return partial(
        subprocess.run,
        [sys.executable, "-P", "-m", "analyzer", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(checkout)},
        stdout=subprocess.DEVNULL,
        check=True,
    )


def main() -> None:
    options = parse_options(__doc__, checkout=..., rounds=30)
    here, other = Path(__file__).parents[1], Path(options.checkout).resolve()
    with TemporaryDirectory() as folder:
        Path(folder, "net.py").write_text(NET, encoding="utf-8")
        calls = {
            "in one process": command(other, folder, "net.py:A"),
            "in a worker": command(here, folder, "net.py:A"),
            "five models in one process": command(other, folder, *FIVE),
            "five models in workers": command(here, folder, *FIVE),
        }
        times_s = interleave(calls, options.rounds)
    for base, name in zip(list(calls)[::2], list(calls)[1::2], strict=True):
        added_s = times_s[name] - times_s[base]
        low, high = added_s.quantile([0.25, 0.75])
        print(f"{name}: {times_s[name].median():.3f} s, {base}: {times_s[base].median():.3f} s; added "
              f"{1e3 * added_s.median():+.0f} ms (quartiles {1e3 * low:+.0f} to {1e3 * high:+.0f}); "
              f"goal: at most {1e3 * GOAL_S:.0f} ms")  # fmt: skip


if __name__ == "__main__":
    main()
