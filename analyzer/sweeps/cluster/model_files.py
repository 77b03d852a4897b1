"""The files of models, which workers get by content: `net.py` and the modules beside it that it imports."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from analyzer.core.errors import AnalyzerError, one_line
from analyzer.core.frozen import Frozen
from analyzer.database.result_rows import decode, encode
from analyzer.records.sweep_result import Case
from analyzer.sweeps.code_hashes import with_imports
from analyzer.sweeps.keys import is_builtin

MAX_BYTES = 1 << 22  # Of one model's files; a message to a worker has all of them.


class Shipment(Frozen):
    """A reference to a model in a file, as it is in the worker's folder, and the files there by their names."""

    model: str
    files: tuple[tuple[str, bytes], ...]

    @property
    def digest(self) -> str:
        digest = hashlib.sha256()
        for name, content in self.files:
            digest.update(f"{name}\0{len(content)}\0".encode() + content)
        return digest.hexdigest()[:16]


def model_file(model: str) -> str:
    """The path in a reference to a model in a Python file or an exported program; empty for other models."""
    if is_builtin(model):
        return ""
    location = model.partition("(")[0]
    return next((path for path in (location, location.rpartition(":")[0]) if path.endswith((".py", ".pt2"))), "")


def shipment(model: str) -> Shipment:
    """The files of a model in a Python file. Raises AnalyzerError for an exported program, and for large files."""
    name = model_file(model)
    if name.endswith(".pt2"):
        raise AnalyzerError(f"{one_line(name)} is an exported program, which is not sent to workers; run without "
                            "--cluster, or count the model from its Python file")  # fmt: skip
    path = Path(name)
    try:
        contents = dict(with_imports(path, path.parent))
    except OSError as error:
        raise AnalyzerError(f"cannot read {one_line(error.filename)}: {error.strerror}") from None
    if sum(map(len, contents.values())) > MAX_BYTES:
        raise AnalyzerError(f"{one_line(name)} and the modules it imports have more than {MAX_BYTES >> 20} MiB; "
                            "install them on the workers as a package, as in PACKAGE.MODULE:NAME")  # fmt: skip
    files = ((file.relative_to(path.parent).as_posix(), content) for file, content in sorted(contents.items()))
    return Shipment(model.replace(name, path.name, 1), tuple(files))


def unpack(files: tuple[tuple[str, bytes], ...], parent: str) -> Path:
    """Writes files into a new folder that only this user can read. Raises AnalyzerError for a name outside of it."""
    folder = Path(tempfile.mkdtemp(prefix="macscope-", dir=parent))
    for name, content in files:
        path = (folder / name).resolve()
        if not path.is_relative_to(folder.resolve()):
            raise AnalyzerError(f"{one_line(name)} is not inside the folder of the model")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def as_asked(row: Mapping[str, Any], case: Case, sent: Shipment) -> Mapping[str, Any]:
    """The row of a sent model with the model's name as in the sweep, not as in the worker's folder."""
    if sent.model == case.model:
        return row
    result = decode(row)
    record = result.record
    renamed = record and record.replace(model=record.model.replace(sent.model, case.model, 1))
    return encode(result.replace(case=case, record=renamed))
