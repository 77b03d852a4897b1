"""`analyze machine`, and the peaks that it keeps for later runs on the same machine."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from analyzer.errors import AnalyzerError
from analyzer.files import project_root, write_text
from analyzer.output import emit_tables, say, write

FILE = Path(".analyze") / "machine.json"
SCHEMA_VERSION = 1


def run(*, peaks: bool, threads: Sequence[int] | None, keep: bool, form: str, output: str | None) -> int:
    """Prints the fingerprint, measures the peaks, keeps them."""
    from analyzer.timing.contention import Contention
    from analyzer.timing.machine import fingerprint
    from analyzer.timing.measure import processors

    counts = threads or sorted({1, processors()})
    found = {**fingerprint(), "signals": Contention(counts[-1]).signals()}
    measured = _measured(counts, found) if peaks else []
    data = {"schema_version": SCHEMA_VERSION, "status": "ok", "environment": found, "peaks": measured}
    if keep and measured:
        path = project_root() / FILE
        try:
            path.parent.mkdir(exist_ok=True)
        except OSError as error:
            raise AnalyzerError(f"cannot keep the peaks in {path}: {error.strerror}; give --no-keep") from None
        write_text(path, json.dumps(data, indent=1) + "\n")
        say(f"kept in {path}")
    if form == "json":
        write(json.dumps(data, indent=1) + "\n", output)
        return 0
    from reports.machine import tables

    emit_tables(tables(found, measured), form, output)
    return 0


def _measured(counts: Sequence[int], found: Mapping[str, Any]) -> list[dict[str, Any]]:
    from analyzer.timing.peaks import measure
    from reports.progress import Bar

    bar: Any = Bar("measuring peaks") if sys.stderr.isatty() else nullcontext()
    with bar:
        tell = bar.tell if isinstance(bar, Bar) else lambda done, of, label: None
        return [dict(vars(peak)) for peak in measure(counts, found["processor"]["caches"], tell)]


def kept_peaks(environment: Mapping[str, Any], root: Path | None = None) -> list[dict[str, Any]]:
    """The peaks kept in this project, if they are of the same processor and torch as `environment`; else none."""
    try:
        data = json.loads(((root or project_root()) / FILE).read_text(encoding="utf-8"))
        theirs = data["environment"]
        same = data["schema_version"] == SCHEMA_VERSION and _chip(theirs) == _chip(environment)
        return [dict(peak) for peak in data["peaks"]] if same else []
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _chip(environment: Mapping[str, Any]) -> tuple[Any, ...]:
    processor, torch = environment["processor"], environment["torch"]
    return processor["model"], processor["family"], processor["flags"], processor["affinity"], torch["version"]
