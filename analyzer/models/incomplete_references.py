"""What a reference leaves out: the only model of a file, the library of a bare name; and near names of a file that is
missing."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from analyzer.core.errors import AnalyzerError, UnknownModel, nearest, one_line, quoted, similar_names
from analyzer.models.optional_libraries import imported, library_names

FORMS = "wanted FILE.py, FILE.py:NAME, PACKAGE.MODULE:NAME, torchvision:NAME, timm:NAME, hf:NAME or FILE.pt2"


def no_file(path: Path) -> UnknownModel:
    """The error for a path that is not a file, or a link to one."""
    if path.exists():
        kind = "is a folder" if path.is_dir() else "is a device, socket or pipe"
    elif path.is_symlink():
        kind = "is a link to a file that does not exist"
    else:
        return UnknownModel(f"no file {one_line(path)}; {_near_files(path) or FORMS}")
    return UnknownModel(f"{one_line(path)} {kind}; {FORMS}")


def _near_files(path: Path) -> str:
    """`nearest: net.py` for `nett.py`: files of its folder with similar names; "" if there is none."""
    try:
        files = {file.stem: file.name for file in path.parent.iterdir() if file.suffix == path.suffix}
    except OSError:
        return ""
    near = [str(path.with_name(files[stem])) for stem in similar_names(path.stem, files)]
    return f"nearest: {one_line(', '.join(near))}" if near else ""


def with_arguments(
    reference: str, factory: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Callable[..., Any]:
    """The factory with arguments of its constructor. Raises AnalyzerError if it does not take them."""
    if not args and not kwargs:
        return factory
    if isinstance(factory, nn.Module):
        raise AnalyzerError(f"{one_line(reference)} is a module already; leave out the arguments")
    try:
        inspect.signature(factory).bind(*args, **kwargs)
    except TypeError as error:
        raise AnalyzerError(f"{one_line(reference)}: {one_line(error)}") from None
    except ValueError:
        pass  # No signature is known.
    return partial(factory, *args, **kwargs)


def only_model(path: str, module: ModuleType) -> str:
    """The name of the only model that a file defines: a class that needs no arguments, or a module instance.

    Without these, the only function that needs no arguments. Raises UnknownModel, with the names, if there are several.
    """
    public = {name: value for name, value in vars(module).items() if not name.startswith("_")}
    classes = {
        name: value
        for name, value in public.items()
        if isinstance(value, type) and issubclass(value, nn.Module) and value.__module__ == module.__name__
    }
    models = [name for name, value in classes.items() if _needs_no_arguments(value)]
    models += [name for name, value in public.items() if isinstance(value, nn.Module)]
    candidates = models or [
        name
        for name, value in public.items()
        if inspect.isfunction(value)
        and value.__module__ == module.__name__
        and not name.endswith("inputs")
        and _needs_no_arguments(value)
    ]
    if len(candidates) == 1:
        return candidates[0]
    if candidates:
        names = ", ".join(f"{path}:{name}" for name in candidates[:12])
        raise UnknownModel(f"{one_line(path)} has {len(candidates)} models; name one: {one_line(names)}")
    if classes:
        name = next(iter(classes))
        raise UnknownModel(f"the models of {one_line(path)} need arguments; give them: {one_line(f'{path}:{name}(…)')}")
    raise UnknownModel(f"{one_line(path)} has no subclass of torch.nn.Module and no function that returns a model")


def _needs_no_arguments(factory: Callable[..., Any]) -> bool:
    try:
        inspect.signature(factory).bind()
    except TypeError:
        return False
    except ValueError:
        return True
    return not inspect.isabstract(factory)


def _transformers_kind(name: str) -> str:
    """The kind of model that a name means in transformers, such as gpt2 for gpt2-medium; "" if none."""
    kinds = library_names("hf")
    return max(
        (kind for kind in kinds if name == kind or name.startswith((f"{kind}-", f"{kind}_"))), key=len, default=""
    )


def library_of(name: str, others: Iterable[str] = ()) -> str:
    """`resnet50` → `torchvision:resnet50`: the first installed library with that model, torchvision before timm.

    Raises UnknownModel if none has it, with the nearest names, also of the `others`.
    """
    from analyzer.networks import VARIANTS

    known = [*VARIANTS, *others]
    for library in ("torchvision", "timm"):
        if find_spec(library) is None:
            continue
        models = imported("torchvision.models" if library == "torchvision" else library)
        names = models.list_models()
        is_model = name.lower() in names if library == "torchvision" else models.is_model(name.lower())
        if is_model:
            return f"{library}:{name.lower()}"
        known += names
    if find_spec("transformers") and (kind := _transformers_kind(name.lower())):
        raise UnknownModel(f"unknown model {quoted(name)}; transformers has {kind}: write hf:{kind}")
    raise UnknownModel(f"unknown model {quoted(name)}; {nearest(name.lower(), dict.fromkeys(known))}; see analyze list")
