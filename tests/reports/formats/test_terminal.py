"""Tables on a terminal: no number is cut, no line is too long, in color, in monochrome and in ASCII."""

from __future__ import annotations

import io
import re
import subprocess
import sys

import pytest

from analyzer import compare, count
from analyzer.networks import VARIANTS
from analyzer.records.comparison import compare_records
from analyzer.records.crosscheck_result import Agreement, RowAgreement
from reports.cells import share
from reports.counting import comparison, count_tables
from reports.formats.terminal import console, show, split
from reports.table import Cell, Column, Table, as_cell, cell_text, columns

TWO = ("--variant", "googlenet-no-reduction,googlenet")
VIEWS = {
    "one": ("--variant", "googlenet"),
    "deep": ("--variant", "googlenet", "--module", "inception_4a", "--depth", "3"),
    "training": ("--variant", "googlenet", "--train"),
    "two": TWO,
    "reduction": (*TWO, "--module", "inception_4a.branch_5x5"),
    "five": ("--variant", "googlenet,alexnet,vgg16,nin,googlenet-naive"),
    "changed": ("--variant", "googlenet,googlenet@inception_4a.reduce_5x5=32"),
    "list": ("list",),
}
COLORS = re.compile(r"\x1b\[[\d;]*m")
METRICS = ["params", "macs", "flops", "activations", "traffic"]


@pytest.mark.parametrize("view", VIEWS)
def test_golden(analyze, golden, view):
    outcome = analyze(*VIEWS[view])
    assert (outcome.status, outcome.err) == (0, "")
    golden(f"{view}-80.txt", outcome.out)


@pytest.mark.parametrize("view", VIEWS)
def test_golden_ascii(process, golden, view):
    outcome = process(*VIEWS[view], PYTHONIOENCODING="ascii")
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out.isascii()
    assert "\\u" not in outcome.out, "a character of ours has no ASCII form"
    golden(f"{view}-ascii.txt", outcome.out)


@pytest.mark.parametrize("width", [60, 80, 83, 100, 120, 200])
@pytest.mark.parametrize("view", VIEWS)
def test_no_line_exceeds_the_width(analyze, monkeypatch, view, width):
    monkeypatch.setenv("COLUMNS", str(width))
    assert max(map(len, analyze(*VIEWS[view]).out.splitlines())) <= width


def test_no_line_ends_in_a_space_with_or_without_color(analyze, monkeypatch):
    for view in (*VIEWS.values(), ("claims",), ("claims", "--table1")):
        plain = analyze(*view).out
        assert [line for line in plain.splitlines() if line != line.rstrip()] == []
        monkeypatch.setenv("FORCE_COLOR", "1")
        monkeypatch.setenv("TERM", "xterm")
        colored = analyze(*view).out
        assert COLORS.sub("", colored) == plain
        assert not re.search(r" (?:\x1b\[[\d;]*m)*\n", colored)
        monkeypatch.delenv("FORCE_COLOR")
        monkeypatch.delenv("TERM")


def test_full_columns_are_one_space_apart(monkeypatch):
    table = Table("t", columns("name", "five5", "tail", left=("tail",)), ((Cell("abcd"), "1.0 k", "z"),))
    assert lines_of([table], 80, monkeypatch)[1:4:2] == ["name five5 tail", "abcd 1.0 k z"]


@pytest.mark.parametrize(("encoding", "mark"), [("utf-8", "…"), ("ascii", "~")])
def test_a_cut_name_ends_in_a_mark(monkeypatch, encoding, mark):
    monkeypatch.setenv("COLUMNS", "40")
    text = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    show([Table("t", columns("module", "number"), ((Cell("n" * 60), "1,234,567"),))], console(text))
    text.seek(0)
    (line,) = [line for line in text.read().splitlines() if line.startswith("nnn")]
    assert re.fullmatch(rf"n+{mark} 1,234,567", line)
    assert len(line) == 40


def test_names_with_equal_ends_are_cut_where_they_differ(monkeypatch):
    names = [f"some/folder/of/models/net_{letter}.py:{'Net' * 12}" for letter in "ab"]
    header = columns("model", "number", cut="start")
    table = Table("t", header, tuple((Cell(name), "1,234,567") for name in names))
    first, second = lines_of([table], 40, monkeypatch)[-2:]
    assert ("net_a.py:" in first, "net_b.py:" in second) == (True, True)
    assert max(len(first), len(second)) <= 40


@pytest.mark.parametrize("width", ["80", "", "0", "-5", "wide"])
def test_80_columns_without_a_valid_width(analyze, monkeypatch, width):
    default = analyze(*VIEWS["one"])
    monkeypatch.setenv("COLUMNS", width)
    assert analyze(*VIEWS["one"]) == default


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_other_encodings_get_ascii(environment, encoding):
    done = subprocess.run(
        [sys.executable, "-m", "analyzer", *VIEWS["one"]],
        env={**environment, "PYTHONIOENCODING": encoding},
        capture_output=True,
        check=True,
    )
    text = done.stdout.decode(encoding)
    assert "1,582,671,872 MACs" in text
    assert "\\u" not in text


def test_golden_color_and_monochrome(analyze, golden, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    colored = analyze(*VIEWS["reduction"]).out
    golden("reduction-color.txt", colored)
    monkeypatch.setenv("NO_COLOR", "1")
    plain = analyze(*VIEWS["reduction"]).out
    golden("reduction-no-color.txt", plain)
    foreground = r"\x1b\[(?:\d+;)*(?:3|4|9|10)\d(?:;\d+)*m"
    assert re.search(foreground, colored)
    assert not re.search(foreground, plain)
    for name in ("FORCE_COLOR", "NO_COLOR", "TERM"):
        monkeypatch.delenv(name)
    assert COLORS.sub("", colored) == COLORS.sub("", plain) == analyze(*VIEWS["reduction"]).out


# No number is cut.


def lines_of(tables, width: int, monkeypatch) -> list[str]:
    monkeypatch.setenv("COLUMNS", str(width))
    text = io.StringIO()
    show(tables, console(text))
    return text.getvalue().splitlines()


def assert_whole(table: Table, monkeypatch) -> None:
    """At 80 columns each row is a line: its name, perhaps cut, then every text in full, in the order of the rows.

    Optional columns may be missing.
    """
    for part in split(table, False, 80):
        lines = lines_of([part], 80, monkeypatch)
        assert max(map(len, lines)) <= 80
        assert not any("Columns left out" in line for line in lines)
        rest = iter(lines)
        for row in part.rows:
            name, *texts = map(cell_text, row)
            pattern = "".join(
                rf"(?:\s+(?:[█▏▎▍▌▋▊▉]+\s+)?{re.escape(text)}){'?' if column.drop else ''}"
                for text, column in zip(texts, part.columns[1:], strict=True)
                if text
            )
            start = re.escape("  " * as_cell(row[0]).depth + name[:4])
            whole = re.compile(rf"{start}\S*…?{pattern}(?:\s+[█▏▎▍▌▋▊▉]*)?\s*")
            assert any(whole.fullmatch(line) for line in rest), f"{name} {texts} is cut or not in its place"


def test_a_narrow_terminal_leaves_out_optional_columns_first(monkeypatch):
    titles = columns("name", "kept", "second", "first", drop=("first", "second"))
    table = Table("t", titles, ((Cell("abc"), "1", "22", "333"),))
    headers = [lines_of([table], width, monkeypatch)[1] for width in (40, 21, 16, 9)]
    assert headers == ["name kept second first", "name kept second", "name kept second", "name kept"]


def test_blocks_of_columns_are_repeated_if_they_do_not_fit(monkeypatch):
    """A row without a number in the blocks of a part is left out there."""
    titles = (*columns("name", "base"), *(Column(f"block{number}", block=number) for number in (1, 2, 3)))
    table = Table("t", titles, ((Cell("a"), "1", "2", "3", "4"), (Cell("b"), "-", "-", "-", "5")))
    wide, narrow = (split(table, False, width) for width in (80, 24))
    assert wide == [table]
    assert [[column.title for column in part.columns] for part in narrow] == [
        ["name", "base", "block1", "block2"], ["name", "base", "block3"],
    ]  # fmt: skip
    assert [len(part.rows) for part in narrow] == [1, 2]


@pytest.mark.parametrize("depth", [1, 4])
@pytest.mark.parametrize("name", VARIANTS)
def test_networks_are_whole(name, depth, monkeypatch):
    for train in (False, True):
        assert_whole(count_tables.network(count(name, train=train), depth), monkeypatch)


@pytest.mark.parametrize("name", VARIANTS)
def test_a_large_batch_of_large_images_is_whole(name, monkeypatch):
    assert_whole(count_tables.network(count(name, input=(3, 3000, 4000), batch=256), 4), monkeypatch)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("other", ["alexnet", "googlenet-naive", "googlenet-torchvision", "vgg16"])
def test_a_pair_is_whole(other, metric, monkeypatch):
    for table in comparison.tables(compare("googlenet", other), metric, 4):
        assert_whole(table, monkeypatch)


@pytest.mark.parametrize("metric", METRICS)
def test_all_variants_are_whole(metric, monkeypatch):
    for table in comparison.tables(compare(*VARIANTS), metric, 4):
        assert_whole(table, monkeypatch)


def test_a_network_and_its_overrides_are_whole(monkeypatch):
    overrides = [{}, {"inception_4a.reduce_5x5": 32}, {"inception_4a.reduce_5x5": 32, "inception_4a.reduce_3x3": 32}]
    records = [count("googlenet", overrides=changes) for changes in overrides]
    for table in comparison.tables(compare_records(records), "macs", 4):
        assert_whole(table, monkeypatch)


def test_columns_that_do_not_fit_are_named(monkeypatch):
    """A name of at least 12 characters, and columns of 9 one apart: two need 12 + 2 x 10 = 32, three 42, four 52."""
    table = Table("t", columns("module", *(f"count {number}" for number in range(4))),
                  ((Cell("n" * 30), *("1,234,567",) * 4),))  # fmt: skip
    lines = lines_of([table], 40, monkeypatch)
    assert lines[3] == "n" * 19 + "… 1,234,567 1,234,567"
    note = " ".join(lines[4:])
    assert "count 2, count 3" in note
    assert "52 columns" in note
    assert lines_of([table], 52, monkeypatch)[3].endswith(" 1,234,567" * 4)


@pytest.mark.parametrize("width", [20, 40, 60])
def test_a_narrow_terminal_keeps_names(analyze, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    for names in ("googlenet", "googlenet,alexnet"):
        assert any(line.startswith("incep") for line in analyze("--variant", names).out.splitlines())


def test_the_rows_of_a_cross_check_are_not_cut(monkeypatch):
    record = count("googlenet")
    counters = ("closed_form", "dispatch", "fvcore")
    rows = tuple(
        RowAgreement(row.path, row.op, dict.fromkeys(counters, row.macs), dict.fromkeys(counters, 0), True)
        for row in record.rows
    )
    table = count_tables.agreement(record.replace(agreement=Agreement(counters, (), {}, rows)))
    lines = [line for line in lines_of([table], 80, monkeypatch) if line.endswith("agree")]
    assert [line.split()[0] for line in lines] == [row.path or "(top" for row in record.rows]


# Parts of a table.


def test_a_bar_is_as_long_as_its_share(monkeypatch):
    values = [0.0, 0.005, 1 / 48, 0.25, 0.5, 0.999, 1.0, 1.5, -1.0]
    rows = tuple((Cell("n"), share(value, 1)) for value in values)
    lines = lines_of([Table("t", columns("n", "share", left=("share",)), rows)], 80, monkeypatch)
    bars = [line.split("%")[1].strip() for line in lines[3:]]
    assert bars == ["", "", "▏", "█▌", "███", "██████", "██████", "██████", ""]


def test_shared_notes_are_printed_once_and_last(monkeypatch):
    tables = [
        Table("first", columns("n"), ((Cell("a"),),), notes=("own", "shared")),
        Table("second", columns("n"), ((Cell("b"),),), notes=("shared",)),
    ]
    lines = lines_of(tables, 80, monkeypatch)
    printed = [line for line in lines if line in ("own", "shared", "first", "second")]
    assert printed == ["first", "own", "second", "shared"]


def test_markup_and_escapes_in_a_table_are_text(monkeypatch):
    hostile = "[bold]x[/] \x1b[31m\n:smile: \u202e"
    monkeypatch.setenv("FORCE_COLOR", "1")
    table = Table(hostile, columns(hostile), ((Cell(hostile),),), notes=(hostile,))
    text = "\n".join(lines_of([table], 200, monkeypatch))
    assert "\x1b[31m" not in text
    assert "\u202e" not in text
    assert COLORS.sub("", text).count(r"[bold]x[/] \x1b[31m\n:smile: \u202e") >= 3
