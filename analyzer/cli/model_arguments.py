"""Models as arguments: `analyze googlenet net.py resnet50`. Sorts names into built-in networks and references."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from analyzer.core.errors import AnalyzerError, UnknownModel, quoted, similar_names
from analyzer.core.parse_inputs import is_reference
from analyzer.networks import VARIANTS, builtin_name

LIBRARIES = ("torchvision", "timm")  # In the order in which a bare name is looked up.
WEIGHTS = (".pt", ".pth", ".ckpt", ".bin", ".pkl", ".safetensors", ".onnx", ".h5", ".pb")
COMMA = re.compile(r",(?![^(\[{]*[)\]}])")  # Not inside of brackets: `net.py:Net(3,width=64),alexnet`.


def split_names(texts: Sequence[str], place: str) -> tuple[str, ...]:
    """Splits at commas: `a,b@x.out=1,y.out=2,c` is three names, since `y.out=2` continues the overrides of `b`."""
    names: list[str] = []
    for text in texts:
        parts = COMMA.split(text)
        if len(parts) > 1 and not all(map(str.strip, parts)):
            raise AnalyzerError(f"empty name in {place} {quoted(text)}; wanted NAME[,NAME], no spaces")
        for number, part in enumerate(parts):
            if number and "=" in part and "@" not in part and "(" not in part:
                names[-1] += f",{part}"
            else:
                names.append(part.strip())
    return tuple(names)


def sort_models(texts: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(built-in networks, references) of arguments. A name that is neither may be one of an installed library.

    Raises AnalyzerError for a name that nothing here can have.
    """
    variants: list[str] = []
    references: list[str] = []
    for name in map(builtin_name, split_names(texts, "the model")):
        is_variant = name.partition("@")[0] in VARIANTS or (not is_reference(name) and _is_network(name))
        (variants if is_variant else references).append(name)
    return tuple(variants), tuple(references)


def is_model(argument: str) -> bool:
    """Whether an argument that may also be a file of records is a model: a reference, or a name that no file has."""
    file = Path(argument)
    return "@" in argument or is_reference(argument) or not (file.suffix or len(file.parts) > 1 or file.exists())


def _is_network(name: str) -> bool:
    """Whether a bare name is a network of another package. Raises AnalyzerError if no model can have it."""
    from importlib.metadata import entry_points
    from importlib.util import find_spec

    from analyzer.cli.commands import COMMANDS
    from analyzer.networks import GROUP

    base = name.partition("@")[0]
    networks = {point.name for point in entry_points(group=GROUP)}
    models = {point.name for point in entry_points(group="analyzer.models")}
    if base in networks or "@" in name:
        return True
    if base in models:
        return False
    if name.lower().endswith(WEIGHTS):
        raise UnknownModel(
            f"{quoted(name)} is not read: such files may be pickled code, or have weights only; give the FILE.py that "
            "builds the model (or calls torch.jit.load), or a FILE.pt2 of torch.export.save"
        )
    commands = similar_names(base, [str(command.name) for command in COMMANDS], limit=1, similarity=0.8)
    if commands:
        raise UnknownModel(f"no model or command {quoted(name)}; nearest command: {commands[0]}; see analyze --help")
    if not any(map(find_spec, LIBRARIES)):
        similar = similar_names(base, [*VARIANTS, *networks, *models])
        near = f"nearest: {', '.join(similar)}; " if similar else ""
        raise UnknownModel(
            f"unknown model {quoted(name)}; {near}see analyze list; a file is FILE.py; models of torchvision and timm "
            "need these libraries (extra zoo), those of transformers also the prefix hf:, as in hf:gpt2"
        )
    return False
