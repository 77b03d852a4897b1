"""A stored record with one field changed is refused by name or reported on; no other error escapes."""

from __future__ import annotations

import json
import random

import pytest

from analyzer.core.errors import AnalyzerError
from analyzer.records.record_json import dump, load
from analyzer.records.validate import use_record
from tests.timed_records import timed

VALUES = (
    *(None, True, -1, 0, 1.5, 10**400, 1e308, -0.0, "", "x", "a\n\u202e<b>", "1" * 1000, "2.13.0"),
    *([], {}, [1, 2], {"a": 1}, [None], [[]], [-1, -2]),
)


def places(value, path=()):
    """The path of every field, with the first, second and last entries of a list."""
    if path:
        yield path
    keys = value if isinstance(value, dict) else sorted({0, 1, len(value) - 1}) if isinstance(value, list) else ()
    for key in keys:
        if isinstance(value, dict) or 0 <= key < len(value):
            yield from places(value[key], (*path, key))


@pytest.fixture(scope="module")
def envelope():
    record = timed("nin").replace(created="2026-11-05T00:00:00Z", commit="abc5")
    # Two rows and modules have every kind of field; a smaller record is read faster.
    data = json.loads(dump([record]))
    for key in ("rows", "modules"):
        del data["records"][0][key][2:]
    return data


def replaced(data, path, value):
    """The data with one other value, or without it. Copies only what contains it."""
    key, *rest = path
    copy = data.copy()
    if rest:
        copy[key] = replaced(data[key], rest, value)
    elif value is KeyError:
        del copy[key]
    else:
        copy[key] = value
    return copy


def damaged(envelope, path, value):
    return json.dumps(replaced(envelope, path, value))


@pytest.mark.slow
def test_every_field_with_every_value(envelope):
    accepted, messages = 0, []
    for path in places(envelope):
        for value in (*VALUES, KeyError):
            try:
                for record in load(damaged(envelope, path, value), name="file.json"):
                    use_record(record, "file.json", lambda record: record.totals)
                    accepted += 1
                    if accepted % 10 == 0 or "padding" in path:
                        assert str(record), "a record that is accepted can be shown"
            except AnalyzerError as error:
                messages.append(str(error))
    assert [text for text in messages if not text.startswith("file.json") or len(text) > 500] == []
    assert accepted > 100, "most changes of texts and counts are valid records"


@pytest.mark.slow
def test_the_report_and_the_history_go_on(envelope, analyze, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    records = tmp_path / ".analyze" / "records"
    records.mkdir(parents=True)
    (tmp_path / "pyproject.toml").touch()
    good = timed("nin").replace(created="2026-11-01T00:00:00Z", commit="abc1")
    (records / "good.json").write_text(dump([good]))
    choose = random.Random(7)
    paths = list(places(envelope))
    files = [f"bad{number}.json" for number in range(4)]  # Read together: fewer pages, and as many damages.
    for _ in range(30):
        changes = [(choose.choice(paths), choose.choice((*VALUES, KeyError))) for _ in files]
        for file, change in zip(files, changes, strict=True):
            (records / file).write_text(damaged(envelope, *change))
        named = [f".analyze/records/{file}" for file in ("good.json", *files)]
        for command in (("report", *named, "--charts", "none", "-o", "out.html"), ("history",)):
            done = analyze(*command)
            assert done.status == 0, (changes, done.err)
