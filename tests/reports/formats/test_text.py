"""Markdown, LaTeX and CSV of a table with hostile names."""

from __future__ import annotations

import csv
import io
import re

import pytest

from reports.cells import share
from reports.formats.text import escape_csv, latex, markdown, table_csv
from reports.table import Cell, Table, columns

HOSTILE = [
    *("a|b", "`code`", "*bold* _it_ ~~no~~", "[link](http://x)", "![i](x)", "<script>alert(1)</script>", "&lt;b&gt;"),
    *("two\nlines", "a\rb", "\x1b[31mred", "ab\u202ecd", "#1", "100 % $x$ \\cmd{y} ^ ~ {", "\\|", "a\tb", "", " "),
    *("=1+1", "+1", "-1", "@x", "\t=1", "\n=1", "\r@x", "–×", "http://example.com", "a\\"),
]


def table(*texts: str) -> Table:
    rows = tuple((Cell(text, depth=index % 3), text, share(1, 4)) for index, text in enumerate(texts))
    return Table(texts[0], columns("name", "number", "share", left=("share",)), rows, total=True, notes=texts)


def unescape_markdown(cell: str) -> str:
    """What GitHub shows for a cell: backslash escapes, then entities."""
    shown = re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", cell)
    return shown.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_markdown_shows_the_text_and_nothing_else(text):
    page = markdown([table(text, "plain")])
    rows = [line for line in page.splitlines() if line.startswith("|")]
    assert rows[1] == "|:--|--:|:--|"
    assert len(rows) == 4
    for row in rows[2:]:
        assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", row)) == 4, "three cells"
    shown = unescape_markdown(re.split(r"(?<!\\)(?:\\\\)*\|", rows[2])[2].strip(" "))
    expected = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text).strip(" ")
    assert shown == expected
    # Nothing is left that begins markup.
    assert not re.search(r"(?<!\\)(?:\\\\)*[`*_\[\]~]", rows[2].replace("&lt;", ""))
    assert "<" not in page


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_latex_escapes_every_special_character(text):
    lines = latex([table(text, "plain")]).splitlines()
    code = [line for line in lines if not line.startswith("%")]
    assert len(code) == 9, "begin, rules, header, two rows, end: nothing broke out"
    row = code[4]
    assert row.endswith(r" \\")
    body = row.removesuffix(r" \\")
    for command in (r"\textbackslash{}", r"\textasciitilde{}", r"\textasciicircum{}", r"$\times$", r"\quad "):
        body = body.replace(command, "")
    assert len(re.findall(r"(?<!\\)&", body)) == 2
    body = re.sub(r"\\[&%$#_{}]", "", body)
    assert not set(body) & set("%$#_{}\\^~")


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_csv_is_no_formula(text):
    (_, row, _) = csv.reader(io.StringIO(table_csv(table(text, "plain"))))
    for cell in row[:2]:
        assert cell[:1] not in ("=", "+", "-", "@", "\t", "\r", "\n")
    shown = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
    assert row[0].removeprefix("'") == shown


@pytest.mark.parametrize("text", ["1", "a=b", "x", "", "conv1", "1-2"])
def test_csv_leaves_other_text_alone(text):
    assert escape_csv(text) == text


def test_shares_are_numbers_in_text():
    assert "| 25.0 % |" in markdown([table("a")])
    assert r"25.0 \%" in latex([table("a")])
    assert ",25.0 %" in table_csv(table("a"))


def test_a_total_has_a_rule_above():
    with_total = Table("t", columns("n"), ((Cell("a"),), (Cell("total"),)), total=True)
    assert latex([with_total]).splitlines()[5:9] == [r"a \\", r"\midrule", r"total \\", r"\bottomrule"]
    assert latex([with_total.replace(total=False)]).count(r"\midrule") == 1


def test_several_tables_are_separated_by_an_empty_line():
    assert markdown([table("a"), table("b")]).count("\n\n**") == 1
    assert latex([table("a"), table("b")]).count("\n\n%") == 1
