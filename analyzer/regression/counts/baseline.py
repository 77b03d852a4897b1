"""The baseline: a JSON file in the repository, sorted, a line a layer, so that a change of it reads as one."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from analyzer.core.errors import AnalyzerError, one_line
from analyzer.core.files import write_text
from analyzer.records.envelope import READABLE_VERSIONS, pretty
from analyzer.records.record import Shapes
from analyzer.regression.counts.gate import MODES
from analyzer.regression.counts.snapshot import LAYER_METRICS, Layer, Snapshot

SCHEMA_VERSION = 1
BEGINNING = '{\n "schema_version": '  # By this a file that is no longer JSON, such as a failed merge, is still ours.
AGAIN = "analyze check --update writes it again"


class Unreadable(AnalyzerError):
    """A baseline of ours that is damaged or of another version: an update of all models may take its place."""

    def __init__(self, found: str) -> None:
        super().__init__(f"{found}; {AGAIN}")
        self.found = found


# Model → mode → what it was. A mode that could not be counted is not there.
Baseline: TypeAlias = Mapping[str, Mapping[str, Snapshot]]


def read(path: Path, shown: str) -> Baseline | None:
    """The baseline at `path`, or None if there is none. Raises AnalyzerError, naming `shown`, if it is not one."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else "it is not UTF-8"
        raise AnalyzerError(
            f"cannot read the baseline {one_line(shown)}: {why}; name another file with --baseline"
        ) from None
    return load(text, shown)


def write(path: Path, baseline: Baseline) -> bool:
    """Replaces the file whole, unless it says that already. Raises AnalyzerError, and leaves what was there."""
    text = dump(baseline)
    if path.is_file() and path.read_bytes() == text.encode():
        return False
    write_text(path, text, advice="name another file with --baseline")
    return True


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """One at a time: of two that read, change and write the file at once, neither loses what the other wrote."""
    try:
        import fcntl

        # The folder is locked, so that no lock file lies about in the repository.
        handle = os.open(os.path.realpath(path.parent), os.O_RDONLY)
    except (ImportError, OSError):  # Not a Unix; or no folder, which writing will say better.
        yield
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def dump(baseline: Baseline) -> str:
    """The file's text: sorted by model, mode and layer; equal baselines give equal text."""
    models = {
        model: {mode: _snapshot_to_json(baseline[model][mode]) for mode in MODES if mode in baseline[model]}
        for model in sorted(baseline)
    }
    return pretty({"schema_version": SCHEMA_VERSION, "models": models}, depth=5) + "\n"


def load(text: str, shown: str = "input") -> dict[str, dict[str, Snapshot]]:
    """The baseline that `dump` wrote. Sums are computed again, and a file whose sums do not fit is damaged."""
    name = f"the baseline {one_line(shown)}"
    try:
        data = json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        found = f"{name} is not JSON ({one_line(error)[:120]})"
        if not text.startswith(BEGINNING):
            raise AnalyzerError(f"{found}; name another file with --baseline") from None
        raise Unreadable(found) from None
    version = data.get("schema_version") if isinstance(data, dict) else None
    if not isinstance(data, dict) or "models" not in data or version is None:
        # Never written over: it is somebody else's file.
        raise AnalyzerError(f"{name} is no baseline of analyze check; name another file with --baseline")
    if version not in READABLE_VERSIONS or isinstance(version, bool):
        raise Unreadable(
            f"{name} has schema version {one_line(repr(version))[:40]}, and this analyze reads 1 to {SCHEMA_VERSION}"
        )
    try:
        return {
            model: {mode: _snapshot_from_json(_mode(mode), one) for mode, one in modes.items()}
            for model, modes in data["models"].items()
        }
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise Unreadable(f"{name} is damaged ({type(error).__name__}: {one_line(error)[:120]})") from None


def _snapshot_to_json(one: Snapshot) -> dict[str, Any]:
    unknown = {"unknown_ops": dict(sorted(one.unknown_ops.items()))} if one.unknown_ops else {}
    layers = sorted(one.layers, key=lambda layer: layer.key)
    return {
        "input": [list(shape) for shape in one.input],
        "dtype": one.dtype,
        "totals": one.totals,
        "operators": dict(sorted(one.calls.items())),
        **unknown,
        "layers": [{"path": layer.path, "op": layer.op, "call": layer.call, **layer.figures} for layer in layers],
    }


def _snapshot_from_json(mode: str, data: Mapping[str, Any]) -> Snapshot:
    found = Snapshot(
        mode=mode,
        input=_shapes(data["input"]),
        dtype=_text(data["dtype"]),
        layers=tuple(map(_layer, data["layers"])),
        peak_memory=data["totals"].get("peak_memory"),
        unknown_ops={op: _whole(times) for op, times in data.get("unknown_ops", {}).items()},
    )
    for layer in found.layers:
        if unknown := [metric for metric in layer.figures if metric not in LAYER_METRICS]:
            raise ValueError(f"unknown figure {unknown[0]!r} of {layer.path}")
    if len({layer.key for layer in found.layers}) < len(found.layers):
        raise ValueError("a layer is there twice")
    # A merge by hand that took some lines from each side is caught here.
    if {key: _whole(value) for key, value in data["totals"].items()} != found.totals:
        raise ValueError("its totals are not the sums of its layers")
    if data["operators"] != found.calls:
        raise ValueError("its operators are not those of its layers")
    return found


def _layer(data: Mapping[str, Any]) -> Layer:
    figures = {metric: _whole(value) for metric, value in data.items() if metric not in ("path", "op", "call")}
    return Layer(_text(data["path"]), _text(data["op"]), _whole(data["call"]), figures)


def _shapes(data: Sequence[Sequence[Any]]) -> Shapes:
    return tuple(tuple(map(_whole, shape)) for shape in data)


def _mode(name: str) -> str:
    if name not in MODES:
        raise ValueError(f"unknown mode {name!r}")
    return name


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _whole(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise TypeError(f"{value!r} is no whole number")
    return value


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """What a merge by hand leaves twice is an error; Python would take the last of the two."""
    data = dict(pairs)
    if len(data) < len(pairs):
        raise ValueError("a key is there twice")
    return data
