"""How long until `analyze time` shows the first time of a small model, in a terminal? Goal: at most 4 s.

    python -m benchmarks.first_answer [--rounds 7]

Each round starts the command in a pseudo-terminal, reads until a time appears and interrupts it; then it imports torch
in a new process, for comparison. Unix only.
"""

from __future__ import annotations

import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pandas

from benchmarks.common import parse_options, ratio_text

ANALYZE = shutil.which("analyze", path=str(Path(sys.executable).parent)) or "analyze"
MODEL = Path(__file__).parent / "timed_models.py"
COMMAND = [ANALYZE, "time", f"{MODEL}:small_mlp", "--input", "16", "--no-keep"]
SHOWN = b"s so far"
FIRST, TORCH = "first time of a small model", "import torch"
GOAL_S = 4.0


def first_answer_s() -> float:
    """Seconds until the command's progress has a time. Ends the program if none appears."""
    terminal, side = pty.openpty()
    start, taken_s, shown = time.perf_counter(), 0.0, b""
    command = subprocess.Popen(COMMAND, stdin=side, stdout=side, stderr=side, start_new_session=True)
    os.close(side)
    with suppress(OSError):  # The command has ended.
        while output := os.read(terminal, 2**16):
            shown += output
            if SHOWN in shown and not taken_s:
                taken_s = time.perf_counter() - start
                command.send_signal(signal.SIGINT)
    os.close(terminal)
    command.wait()
    return taken_s or sys.exit(shown.decode(errors="replace"))


def import_torch_s() -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import torch"], check=True)
    return time.perf_counter() - start


def main() -> None:
    options = parse_options(__doc__, rounds=7)
    times_s = pandas.DataFrame(
        [{FIRST: first_answer_s(), TORCH: import_torch_s()} for _ in range(1 + options.rounds)][1:]
    )
    first_s = times_s[FIRST]
    print(f"{FIRST}: {first_s.median():.2f} s ({first_s.min():.2f} to {first_s.max():.2f}); goal: at most {GOAL_S:g} s")
    print(ratio_text(times_s, FIRST, TORCH))


if __name__ == "__main__":
    main()
