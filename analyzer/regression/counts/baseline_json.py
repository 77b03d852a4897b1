"""The baseline file: sorted JSON with one layer per line, so that its diff in a review lists the changes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from analyzer.core.errors import AnalyzerError, one_line
from analyzer.core.files import read_text, write_text
from analyzer.core.shapes import Shapes
from analyzer.records.record_json import READABLE_VERSIONS, SCHEMA_VERSION, pretty
from analyzer.regression.counts.snapshot import DETAILS, LAYER_METRICS, MODES, Layer, Snapshot

PREFIX = '{\n "schema_version": '  # Identifies a baseline that is no longer valid JSON, such as after a failed merge.
CONFLICT_MARKER = re.compile(r"^<{7}", re.M)
RECOMPUTED = "recomputed_macs"  # Left out of totals where it is 0, as in baselines of earlier versions.
OTHER_FILE = "name another file with --baseline"


class Unreadable(AnalyzerError):
    """A damaged baseline, or one of an unknown version. An update of all models may replace it."""

    def __init__(self, problem: str, advice: str = "analyze check --update writes it again") -> None:
        super().__init__(f"{problem}; {advice}")
        self.problem = problem


# Model → mode → snapshot. A mode that could not be counted is absent.
Baseline: TypeAlias = Mapping[str, Mapping[str, Snapshot]]


def read(path: Path, shown: str) -> Baseline | None:
    """The baseline at `path`, or None if there is no file. Raises AnalyzerError, naming `shown`, if it is invalid."""
    try:
        text = read_text(path)
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "it is not UTF-8"
        raise AnalyzerError(f"cannot read the baseline {one_line(shown)}: {reason}; {OTHER_FILE}") from None
    return load(text, shown)


def write(path: Path, baseline: Baseline) -> bool:
    """Replaces the file atomically unless its content is the same already. Raises AnalyzerError, the file unchanged."""
    text = dump(baseline)
    if path.is_file() and path.read_bytes() == text.encode():
        return False
    write_text(path, text, advice=OTHER_FILE)
    return True


def dump(baseline: Baseline) -> str:
    """The file's text, sorted by model, mode and layer; equal baselines give equal text."""
    models = {
        model: {mode: _snapshot_to_json(baseline[model][mode]) for mode in MODES if mode in baseline[model]}
        for model in sorted(baseline)
    }
    return pretty({"schema_version": SCHEMA_VERSION, "models": models}, depth=5) + "\n"


def load(text: str, shown: str = "input") -> dict[str, dict[str, Snapshot]]:
    """The baseline that `dump` wrote, of this schema version or 1. Totals that are not the layers' sums are an error.

    Raises Unreadable for a damaged baseline, AnalyzerError for any other file, which an update must not overwrite.
    """
    name = f"the baseline {one_line(shown)}"
    try:
        data = json.loads(text, object_pairs_hook=_unique_keys)
    except (ValueError, RecursionError) as error:
        if PREFIX in text and CONFLICT_MARKER.search(text):
            advice = "merge the code first, then run analyze check --resolve"
            raise Unreadable(f"{name} has conflicts of git", advice) from None
        problem = f"{name} is not JSON ({one_line(error)[:120]})"
        if not text.startswith(PREFIX):
            raise AnalyzerError(f"{problem}; {OTHER_FILE}") from None
        raise Unreadable(problem) from None
    version = data.get("schema_version") if isinstance(data, dict) else None
    if not isinstance(data, dict) or "models" not in data or version is None:
        raise AnalyzerError(f"{name} is not a baseline of analyze check; {OTHER_FILE}")
    if version not in READABLE_VERSIONS or isinstance(version, bool):
        raise Unreadable(
            f"{name} has schema version {one_line(repr(version))[:40]}, and this analyze reads 1 to {SCHEMA_VERSION}"
        )
    try:
        return {
            model: {_mode(mode): _snapshot_from_json(mode, snapshot) for mode, snapshot in modes.items()}
            for model, modes in data["models"].items()
        }
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise Unreadable(f"{name} is damaged ({type(error).__name__}: {one_line(error)[:120]})") from None


def _snapshot_to_json(snapshot: Snapshot) -> dict[str, Any]:
    unknown = {"unknown_ops": dict(sorted(snapshot.unknown_ops.items()))} if snapshot.unknown_ops else {}
    layers = sorted(snapshot.layers, key=lambda layer: layer.key)
    return {
        "input": [list(shape) for shape in snapshot.input],
        "dtype": snapshot.dtype,
        "totals": {metric: value for metric, value in snapshot.totals.items() if value or metric != RECOMPUTED},
        "operators": dict(sorted(snapshot.calls.items())),
        **unknown,
        **({"detail": snapshot.detail, "digest": snapshot.digest} if snapshot.detail != "layers" else {}),
        "layers": [{"path": layer.path, "op": layer.op, "call": layer.call, **layer.counts} for layer in layers],
    }


def _snapshot_from_json(mode: str, data: Mapping[str, Any]) -> Snapshot:
    snapshot = Snapshot(
        mode=mode,
        input=_shapes(data["input"]),
        dtype=_text(data["dtype"]),
        layers=tuple(map(_layer, data["layers"])),
        peak_memory=data["totals"].get("peak_memory"),
        unknown_ops={op: _count(calls) for op, calls in data.get("unknown_ops", {}).items()},
    )
    if "detail" in data:
        operators = {op: _count(calls) for op, calls in data["operators"].items()}
        detail, digest = DETAILS[DETAILS.index(data["detail"])], _text(data["digest"])
        snapshot = snapshot.replace(detail=detail, digest=digest, operators=operators)
    for layer in snapshot.layers:
        if unknown := [metric for metric in layer.counts if metric not in LAYER_METRICS]:
            raise ValueError(f"unknown metric {unknown[0]!r} of {layer.path}")
    if len({layer.key for layer in snapshot.layers}) < len(snapshot.layers):
        raise ValueError("a layer is repeated")
    # Detects a manual merge that took some lines from each side.
    recomputed = {RECOMPUTED: 0} if mode == "training" else {}
    if recomputed | {key: _count(value) for key, value in data["totals"].items()} != snapshot.totals:
        raise ValueError("its totals are not the sums of its layers")
    if data["operators"] != snapshot.calls:
        raise ValueError("its operators are not those of its layers")
    return snapshot


def _layer(data: Mapping[str, Any]) -> Layer:
    counts = {metric: _count(value) for metric, value in data.items() if metric not in ("path", "op", "call")}
    return Layer(_text(data["path"]), _text(data["op"]), _count(data["call"]), counts)


def _shapes(data: Sequence[Sequence[Any]]) -> Shapes:
    return tuple(tuple(map(_count, shape)) for shape in data)


def _mode(name: str) -> str:
    if name not in MODES:
        raise ValueError(f"unknown mode {name!r}")
    return name


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a string")
    return value


def _count(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise TypeError(f"{value!r} is not a count")
    return value


def _unique_keys(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Rejects a key that a manual merge left twice; Python would take the last one."""
    data = dict(pairs)
    if len(data) < len(pairs):
        raise ValueError("a key is repeated")
    return data
