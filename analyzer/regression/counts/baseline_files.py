"""A baseline on disk: one file, or a folder with one file per model. Also reads files with conflicts of git."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import quote

from analyzer.core.errors import AnalyzerError, one_line
from analyzer.core.files import read_text
from analyzer.regression.counts import baseline_json
from analyzer.regression.counts.baseline_json import OTHER_FILE, Baseline

# A conflict of git, with the common ancestor if merge.conflictStyle is diff3 or zdiff3.
CONFLICT = re.compile(
    r"^<{7}.*\n(?P<ours>(?:.*\n)*?)(?:\|{7}.*\n(?:.*\n)*?)?={7}\n(?P<theirs>(?:.*\n)*?)>{7}.*\n", re.M
)
MAX_NAME = 200  # Most file systems allow 255 bytes.


def is_folder(shown: str) -> bool:
    """Whether a baseline's name stands for a folder with a file per model."""
    return shown.endswith("/")


def read(path: Path, shown: str) -> Baseline | None:
    """The baseline, or None if there is none. Raises AnalyzerError, naming the file, if it is invalid."""
    if not is_folder(shown):
        return baseline_json.read(path, shown)
    models: dict[str, object] = {}
    for file in _files(path):
        models.update(baseline_json.read(file, shown + file.name) or {})
    return models or None  # type: ignore[return-value]


def write(path: Path, shown: str, models: Baseline) -> bool:
    """Writes what changed; returns whether anything did. In a folder, files of models without counts are removed."""
    if not is_folder(shown):
        return baseline_json.write(path, models)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AnalyzerError(f"cannot write {one_line(shown)}: {error.strerror or error}; {OTHER_FILE}") from None
    kept = {path / file_name(model): {model: modes} for model, modes in models.items()}
    changed = [baseline_json.write(file, content) for file, content in kept.items()]
    removed = [file for file in _files(path) if file not in kept]
    for file in removed:
        file.unlink()
    return any(changed) or bool(removed)


def read_ours(path: Path, shown: str) -> Baseline | None:
    """The baseline with our side of every conflict. Raises AnalyzerError if there is no conflict, or no valid side.

    Both sides are read, so that a conflict in anything but counts is an error.
    """
    files = [(file, shown + file.name) for file in _files(path)] if is_folder(shown) else [(path, shown)]
    models: dict[str, object] = {}
    conflicts = 0
    for file, name in files:
        try:
            text = read_text(file)
        except (OSError, UnicodeDecodeError) as error:
            raise AnalyzerError(f"cannot read the baseline {one_line(name)}: {error}; {OTHER_FILE}") from None
        conflicts += len(CONFLICT.findall(text))
        for side in ("theirs", "ours"):
            models.update(baseline_json.load(CONFLICT.sub(rf"\g<{side}>", text), name))
    if not conflicts:
        raise AnalyzerError(f"the baseline {one_line(shown)} has no conflict; --update accepts changes")
    return models  # type: ignore[return-value]


def file_name(model: str) -> str:
    """A file name for a model: `timm:resnet50` → `timm%3Aresnet50.json`."""
    name = quote(model, safe=" @=,()", errors="backslashreplace")
    if len(name) <= MAX_NAME:
        return f"{name}.json"
    import hashlib

    digest = hashlib.sha256(model.encode(errors="backslashreplace")).hexdigest()
    return f"{name[:MAX_NAME]}-{digest[:8]}.json"


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.json"))
