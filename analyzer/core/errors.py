"""The errors a user can cause: what came, what was wanted, what to do, in one line."""

from __future__ import annotations

from collections.abc import Iterable


class AnalyzerError(Exception):
    """Bad input. Its text is one line for the user; `exit_status` is what `analyze` exits with.

    `details` are further lines, where the fault lies in the user's own code: the frames of it.
    """

    exit_status = 2
    details: tuple[str, ...] = ()


class CannotMeasure(AnalyzerError):
    """The input is good but a counter or a clock cannot run on this machine."""

    exit_status = 3


def one_line(name: object) -> str:
    """A name from outside, safe to show in a message: no line breaks, no control or direction marks."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in str(name))


def quoted(name: object) -> str:
    """A name from outside between quotes, safe to show."""
    return f"'{one_line(name)}'"


def is_whole(value: object) -> bool:
    """Whether it counts something that is there: a whole number of at least 1, and no truth value."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def require_whole(name: str, value: object) -> None:
    """Raises AnalyzerError for what counts nothing."""
    if not is_whole(value):
        raise AnalyzerError(f"{name} is {one_line(repr(value))[:80]}; wanted a whole number of at least 1")


def nearest(name: str, known: Iterable[str], *, limit: int = 3, shown: int = 12) -> str:
    """ "; nearest: a, b" for a name that is not among `known`, or those, of more than `shown` the first few."""
    import difflib

    known = list(known)
    if not known:
        return "there is none"
    close = difflib.get_close_matches(name, known, n=limit, cutoff=0.5)
    if close:
        return f"nearest: {one_line(', '.join(close))}"
    return f"known: {one_line(', '.join(known if len(known) <= shown else [*known[:8], '…']))}"
