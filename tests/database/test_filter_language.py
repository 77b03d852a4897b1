"""The filter language: SQL selects in both dialects what Python would, and errors point at their place."""

from __future__ import annotations

import operator
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.core.errors import AnalyzerError
from analyzer.database.filter_language import MAX_COMPARISONS, MAX_DEPTH, parse
from analyzer.database.result_rows import encode
from analyzer.database.store import open_store
from tests.database.results import result

TEXTS = ["", "a", "A", "ab", "inception_4a", "a*b", "a?b", "a%b", "a_b", "[ab]", "a\\b", '"', "'", "é", "Z", "🙂", "zz"]
INTEGERS = [None, -(2**53) - 1, -8, 0, 1, 7, 8, 9, 1000, 1500000000, 2**53 + 1, 2**62 + 1]
NUMBERS = [None, -1.5, 0.0, 1e-9, 0.005, 0.1, 8.0, 8.5, 1e12]
COMPARE = {"==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt,
           ">=": operator.ge}  # fmt: skip


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def matches(pattern: str, text: str) -> bool:
    regex = "".join({"*": ".*", "?": "."}.get(sign, re.escape(sign)) for sign in pattern)
    return re.fullmatch(regex, text, re.DOTALL) is not None


@st.composite
def comparisons(draw):
    """A comparison as text and as a function of a row."""
    kind = draw(st.sampled_from(["text", "pattern", "number", "none", "list", "flag", "bare flag"]))
    if kind == "text":
        name, sign, value = draw(st.tuples(st.sampled_from(["model", "device"]), st.sampled_from([*COMPARE]),
                                           st.sampled_from(TEXTS)))  # fmt: skip
        return f"{name} {sign} {quoted(value)}", lambda row: COMPARE[sign](row[name], value)
    if kind == "pattern":
        pattern = draw(st.sampled_from(TEXTS) | st.text("aAb*?%_[]\\é🙂", max_size=5))
        sign = draw(st.sampled_from(["~", "!~"]))
        return f"model{sign}{quoted(pattern)}", lambda row: matches(pattern, row["model"]) == (sign == "~")
    if kind == "none":
        name, sign = draw(st.sampled_from(["macs", "time_s"])), draw(st.sampled_from(["==", "!="]))
        return f"{name} {sign} NONE", lambda row: (row[name] is None) == (sign == "==")
    if kind == "flag":
        sign, value = draw(st.sampled_from(["==", "!="])), draw(st.booleans())
        return f"compiled {sign} {str(value).lower()}", lambda row: COMPARE[sign](row["compiled"], value)
    if kind == "bare flag":
        return "compiled", lambda row: row["compiled"]
    values = [value for value in (*INTEGERS, *NUMBERS) if value is not None]
    name = draw(st.sampled_from(["macs", "time_s"]))
    if kind == "list":
        chosen = draw(st.lists(st.sampled_from(values), min_size=1, max_size=3))
        return f"{name} in [{', '.join(map(repr, chosen))}]", lambda row: row[name] in chosen
    sign, value = draw(st.sampled_from([*COMPARE])), draw(st.sampled_from(values))
    return f"{name}{sign}{value!r}", lambda row: row[name] is not None and COMPARE[sign](row[name], value)


def combined(children):
    pairs = st.tuples(children, children)
    return (
        children.map(lambda part: (f"not ({part[0]})", lambda row: not part[1](row)))
        | pairs.map(lambda both: (f"({both[0][0]}) and {both[1][0]}", lambda row: both[0][1](row) and both[1][1](row)))
        | pairs.map(lambda both: (f"({both[0][0]} OR {both[1][0]})", lambda row: both[0][1](row) or both[1][1](row)))
        | pairs.map(lambda both: (f"not ({both[0][0]}) and\n({both[1][0]})",
                                  lambda row: not both[0][1](row) and both[1][1](row)))
    )  # fmt: skip


# `and` binds more tightly than `or`: only parts in parentheses are combined.
FILTERS = st.recursive(comparisons(), combined, max_leaves=6).map(lambda part: (f"({part[0]})", part[1]))


def rows():
    """Each text, integer and number several times, in other combinations."""
    base = encode(result("a", None))
    for number in range(60):
        yield {
            **base,
            "key": f"k{number}",
            "model": TEXTS[number % len(TEXTS)],
            "device": TEXTS[number * 7 % len(TEXTS)],
            "macs": INTEGERS[number % len(INTEGERS)],
            "time_s": NUMBERS[number * 5 % len(NUMBERS)],
            "compiled": number % 3 == 0,
        }


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def store(request, tmp_path_factory):
    if request.param == "sqlite":
        url = str(tmp_path_factory.mktemp("filter") / "results.sqlite")
    else:
        url = request.getfixturevalue("server").create("filters")
    with open_store(url) as opened:
        opened.insert(rows())
        yield opened


@settings(max_examples=200)
@given(FILTERS)
def test_sql_selects_what_python_selects(store, drawn):
    text, selects = drawn
    found = {row["key"] for row in store.select(text, columns=("key",))}
    assert found == {row["key"] for row in rows() if selects(row)}, text


@pytest.mark.parametrize(
    ("text", "value"),
    [("1.5G", 1_500_000_000), ("2Ki", 2048), ("-3k", -3000), ("5ms", 0.005), ("0.25us", 2.5e-7), ("1e3", 1000),
     ("123456789012345678901234567890123", 123456789012345678901234567890123), ("8s", 8), (".5", 0.5)],
)  # fmt: skip
def test_numbers_have_units_and_are_exact(text, value):
    (parsed,) = parse(f"macs == {text}").values
    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("", None, "empty"),
        ("   ", None, "empty"),
        ("btch == 8", 1, "no column 'btch'; nearest: batch"),
        ("inception_4a.reduce_5x5 == 16", 1, 'overrides ~ "*inception_4a.reduce_5x5=*"'),
        ('batch == 8 and device = "cuda"', 23, "equality is `==`"),
        ("batch == ", 10, "the end came; batch is compared with a number"),
        ('batch == "8"', 10, "a number or none"),
        ("model == 8", 10, "model is compared with a text in quotes"),
        ("model == nin", 10, "a text in quotes"),
        ('model == "nin', 10, "a quote is not closed"),
        ('batch ~ "8"', 7, "batch is no text"),
        ("batch < none", 7, "no meaning for none"),
        ("compiled < true", 10, "no meaning for true"),
        ("compiled == 1", 13, "true or false"),
        ("compiled == none", 13, "true or false"),
        ("macs == true", 9, "a number or none"),
        ("macs > 5Q", 8, "no unit 'Q'; known: k, M"),
        ("macs > 1e99", 8, "too large"),
        ("batch in 8", 10, "wanted a list"),
        ("batch in []", 11, "a number"),
        ("batch in [1, 8", 15, "the list is not closed"),
        ("(batch == 8", 12, "a parenthesis is not closed"),
        ("batch == 8)", 11, "wanted `and`, `or` or the end"),
        ("batch == 8 batch == 9", 12, "wanted `and`, `or` or the end"),
        ("batch", 6, "after batch, wanted one of =="),
        ("batch == 8; DROP TABLE x", 11, "no part of a filter"),
        ("batch == 8 -- x", 12, "no part of a filter"),
        ("not", 4, "wanted a column"),
        ("and batch == 8", 1, "wanted a column"),
        ("model == \"a\"\x1b[31m", 13, "no part of a filter"),
        ("x" * 10_001, None, "10,001 characters"),
        ("not " * (MAX_DEPTH + 1) + "compiled", 4 * MAX_DEPTH + 1, "levels"),
        ("(" * 5000, MAX_DEPTH + 1, "levels"),
        (" or ".join(["compiled"] * (MAX_COMPARISONS + 1)), 12 * MAX_COMPARISONS + 1, "comparisons"),
        ("macs == " + "9" * 5000, 9, "too large"),
        ("ｂatch == 8", 1, "no column"),
    ],
    ids=lambda value: None if isinstance(value, str) and len(value) > 50 else value,
)  # fmt: skip
def test_an_error_points_at_its_place(text, place, words):
    with pytest.raises(AnalyzerError) as error:
        parse(text)
    message = str(error.value)
    assert words in message
    assert message.isprintable()
    assert len(message) < 250
    if place is not None:
        assert message.startswith(f"filter, character {place}: ")


PARTS = st.sampled_from(
    'model batch compiled and or not in == != ~ < ( ) [ ] , "a" \'b 8 1.5G -3e5 none true \\ \x00 é'.split(" ")
)


@given(st.lists(PARTS | st.text(max_size=3), max_size=12).map(" ".join))
def test_any_text_is_a_filter_or_one_line(text):
    message = ""
    try:
        parse(text)
    except AnalyzerError as error:
        message = str(error)
    assert message.isprintable()


def test_the_largest_filter_is_executed(store):
    assert store.count(" or ".join(["compiled"] * MAX_COMPARISONS)) == 20
    assert store.count("not " * (MAX_DEPTH - 1) + "compiled") == 40
    assert store.count(f"macs in [{', '.join(map(str, range(1000)))}]") == 5 * 5
