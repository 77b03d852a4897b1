"""Where models come from: a hash of their code, or the version of their library. Runs no code of a model."""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Iterable, Iterator, Sequence
from importlib import metadata
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

from analyzer.core.parse_inputs import PACKAGES
from analyzer.networks import find
from analyzer.sweeps.keys import is_builtin, text_hash

MISSING = "missing"  # The source of a model that is not here; counting it gives the error.


def source_of(model: str) -> str:
    """A hash of a model's network spec, or of its file and the local modules that it imports, or its library's version.

    Local modules are in the folder of the file, or in the package. Imports are read, not run: one whose name is
    computed is not seen, and neither is a file that the model opens.
    """
    if is_builtin(model):
        return f"spec:{text_hash(repr(find(model)))}"
    location = model.partition("(")[0]
    scheme, _, _ = location.partition(":")
    if scheme in PACKAGES:
        return _versions([PACKAGES[scheme]])
    file, colon, _ = location.rpartition(":")
    file = file if colon else location
    if file.endswith((".py", ".pt2")):
        return _code_hash(Path(file), Path(file).parent)
    if colon:
        return _module_hash(file)
    points = [point for point in metadata.entry_points(group="analyzer.models") if point.name == location]
    if points:
        return _module_hash(points[0].module)
    return _versions(("torchvision", "timm"))


def with_imports(path: Path, folder: Path) -> Iterator[tuple[Path, bytes]]:
    """The file and, of the folder, the modules that it or they import, each once. Raises OSError."""
    waiting, known = [path], {path}
    while waiting:
        file = waiting.pop()
        content = file.read_bytes()
        yield file, content
        for name in _imported(file.relative_to(folder), content) if file.suffix == ".py" else ():
            new = [module for module in _files_of(name, folder) if module not in known]
            known.update(new)
            waiting += new


def _imported(file: Path, content: bytes) -> set[str]:
    """The names of the modules and packages that a file imports."""
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError, RecursionError):
        return set()  # Loading the file gives the error.
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(file.parts[0] if node.level else node.module or "")
    return {name.partition(".")[0] for name in names}


def _files_of(name: str, folder: Path) -> Iterator[Path]:
    """The files of a module or package of the folder; none if `import name` finds another."""
    package = folder / name
    if (package / "__init__.py").is_file() or (not _module(folder, name) and _is_namespace(name, folder)):
        yield from sorted(package.rglob("*.py"))
    elif _module(folder, name):
        yield folder / f"{name}.py"


def _module(folder: Path, name: str) -> bool:
    return (folder / f"{name}.py").is_file()


def _is_namespace(name: str, folder: Path) -> bool:
    """Whether a folder without `__init__.py` is imported: a module of that name anywhere else comes first."""
    if name in sys.stdlib_module_names or not (folder / name).is_dir():
        return False
    elsewhere = PathFinder.find_spec(name)
    return elsewhere is None or elsewhere.origin is None


def _versions(names: Sequence[str]) -> str:
    versions = []
    for name in names:
        try:
            versions.append(f"{name}=={metadata.version(name)}")
        except metadata.PackageNotFoundError:
            versions.append(f"{name}:{MISSING}")
    return ",".join(versions)


def _code_hash(path: Path, folder: Path) -> str:
    """Of a file and what it imports of the folder."""
    try:
        return _hash(path, folder, with_imports(path, folder))
    except OSError:
        return MISSING


def _hash(path: Path, folder: Path, files: Iterable[tuple[Path, bytes]]) -> str:
    """Of contents and the names of other files than `path`, not of where the folder is."""
    digest = hashlib.sha256()
    for file, content in sorted(files):
        name = "" if file == path else file.relative_to(folder).as_posix()
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return f"file:{digest.hexdigest()[:32]}"


def _module_hash(name: str) -> str:
    """The hash of a module's file, which is found without importing the packages above it."""
    locations: Sequence[str] = [str(Path.cwd()), *sys.path]
    spec: ModuleSpec | None = None
    for length in range(1, name.count(".") + 2):
        spec = PathFinder.find_spec(".".join(name.split(".")[:length]), locations)
        if spec is None:
            return MISSING
        locations = list(spec.submodule_search_locations or ())
    if not spec or not spec.origin:
        return MISSING
    path = Path(spec.origin)
    folder = path.parents[name.count(".") + (path.name == "__init__.py")]
    if folder == Path.cwd():
        return _code_hash(path, folder)
    # Beside an installed package there are other libraries.
    files = {path, *(folder / name.partition(".")[0]).rglob("*.py")}
    return _hash(path, folder, ((file, file.read_bytes()) for file in files))
