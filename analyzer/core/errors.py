"""Errors that a user can cause. Each message is one line: what was given, what was expected, what to do."""

from __future__ import annotations

import re
from collections.abc import Iterable

TEXT_START = 10_000  # An exception's text may have the digits of a whole tensor.
# Messages of C++ libraries, CUDA and Apple when memory runs out. Other errors also contain the word "memory".
OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "cannot allocate memory", "not enough memory", "bad_alloc")
OPTIONS = re.compile(r"--(?:input|batch) \S+(?: --(?:input|batch) \S+)*")


class AnalyzerError(Exception):
    """Bad input. The message is one line; `exit_status` is the exit status of `analyze`.

    `details`: for an error in the user's code, the traceback frames in that code.
    """

    exit_status = 2
    details: tuple[str, ...] = ()


class UnknownModel(AnalyzerError):
    """There is no model of that name, as in a commit before it was added."""


class CannotMeasure(AnalyzerError):
    """The input is valid, but a counter or a clock cannot run on this machine."""

    exit_status = 3


class InputError(AnalyzerError):
    """A model does not run on its inputs. `advice` is the part of the message that names `--input`.

    `example` are sizes that the model may take, if it got no input.
    """

    def __init__(self, message: str, advice: str, example: str = "") -> None:
        super().__init__(message)
        self.advice, self.example = advice, example

    def with_advice(self, advice: str) -> InputError:
        """The same error with another advice, or none, as for users who give inputs otherwise than by `--input`."""
        if not self.advice:
            return self
        text = str(self).replace(self.advice, advice) if advice else str(self).replace(f"; {self.advice}", "")
        error = InputError(text, advice, self.example)
        error.details, error.exit_status = self.details, self.exit_status
        return error

    def with_keywords(self, otherwise: str = "") -> InputError:
        """The same error for a caller from Python: `--input 3x8x8 --batch 2` becomes `input='3x8x8', batch=2`.

        `otherwise` is the advice if this one names no option with its value.
        """
        advice = OPTIONS.sub(_keywords, self.advice)
        return self.with_advice(otherwise if advice == self.advice else advice)


def _keywords(options: re.Match[str]) -> str:
    words = options[0].split()
    values = list(zip(words[::2], words[1::2], strict=True))
    inputs = [value for option, value in values if option == "--input"]
    given = [f"input={inputs if len(inputs) > 1 else inputs[0]!r}"] if inputs else []
    return ", ".join(given + [f"batch={value}" for option, value in values if option == "--batch"])


def one_line(text: object) -> str:
    """Untrusted text made safe to print: line breaks, control and bidirectional characters are escaped."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in str(text))


def full_text(error: BaseException) -> str:
    """An exception's text; empty if its `__str__` raises."""
    try:
        return str(error)
    except Exception:
        return ""


def error_text(error: BaseException) -> str:
    """The first line of an exception's text, at most 200 characters; empty if there is none."""
    lines = full_text(error)[:TEXT_START].strip().splitlines()
    return one_line(lines[0])[:200] if lines else ""


def is_out_of_memory(error: BaseException) -> bool:
    start = full_text(error)[:TEXT_START].lower()
    return isinstance(error, MemoryError) or any(text in start for text in OUT_OF_MEMORY)


def is_bad_input(error: BaseException) -> bool:
    """Whether another input or model code may help: not if the code called exit or used up memory or the stack."""
    return isinstance(error, Exception) and not (isinstance(error, RecursionError) or is_out_of_memory(error))


def quoted(text: object) -> str:
    """Text from outside in quotes, safe to print."""
    return f"'{one_line(text)}'"


def is_positive_int(value: object) -> bool:
    """Whether `value` is an int of at least 1; a bool is not."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def require_positive_int(name: str, value: object) -> None:
    """Raises AnalyzerError, naming `name`, unless `value` is an int of at least 1."""
    if not is_positive_int(value):
        raise AnalyzerError(f"{name} is {one_line(repr(value))[:80]}; wanted a whole number of at least 1")


def similar_names(name: str, known: Iterable[str], *, limit: int = 3, similarity: float = 0.6) -> list[str]:
    """The known names that an unknown name may mean, the most similar first; `similarity` 1 is equal."""
    from difflib import get_close_matches

    return get_close_matches(name, list(known), n=limit, cutoff=similarity)


def nearest(name: str, known: Iterable[str], *, max_shown: int = 12) -> str:
    """`nearest: a, b` for an unknown name; if no name is similar, the known names, at most `max_shown` of them."""
    known = list(known)
    if not known:
        return "none exists"
    matches = similar_names(name, known, similarity=0.5)
    if matches:
        return f"nearest: {one_line(', '.join(matches))}"
    return f"known: {one_line(', '.join(known if len(known) <= max_shown else [*known[:8], '…']))}"


# What macscope installs; without it, commands that need none of these packages still work.
PACKAGES = ("torch", "fvcore", "pandas", "plotly", "numpy", "scipy", "sqlalchemy", "alembic")


def missing_package(error: BaseException) -> str:
    """Which package to install, if the error is that a dependency is not installed; else an empty text."""
    name = (error.name or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
    return f"this needs {name}, which is not installed; pip install {name}" if name in PACKAGES else ""
