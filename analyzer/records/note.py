"""Notes on a count, strict if the count may be wrong."""

from __future__ import annotations

from typing import NoReturn


class Note(str):
    """A text on how a count was made. `strict`: the count may be wrong, so that `--strict` fails."""

    strict: bool

    def __new__(cls, text: str, *, strict: bool = False) -> Note:
        note = super().__new__(cls, text)
        note.__dict__["strict"] = strict
        return note

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("Note is frozen")


def is_strict(note: str) -> bool:
    """Whether `--strict` fails on the note. A plain text is not strict."""
    return isinstance(note, Note) and note.strict
