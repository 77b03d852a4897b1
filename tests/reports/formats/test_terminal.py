"""What stands on a terminal: every figure whole, no line too long, in colour, in monochrome and in ASCII."""

from __future__ import annotations

import io
import re
import subprocess
import sys

import pytest

from analyzer import compare, count
from analyzer.core.units import percent
from analyzer.networks import VARIANTS
from analyzer.records.agreement import Agreement, Figure
from analyzer.records.comparison import compare_records
from reports.counting import comparison as side_by_side
from reports.counting import network as views
from reports.formats.terminal import console, show
from reports.table import Column, Name, Share, Table

TWO = ("googlenet-no-reduction", "googlenet")
FIVE = ("googlenet", "alexnet", "vgg16", "nin", "googlenet-naive")


def named(names) -> tuple[str, ...]:
    return tuple(part for name in names for part in ("--variant", name))


GOLDEN = {
    "one": ("--variant", "googlenet"),
    "deep": ("--variant", "googlenet", "--module", "inception_4a", "--depth", "3"),
    "training": ("--variant", "googlenet", "--train"),
    "two": named(TWO),
    "reduction": (*named(TWO), "--module", "inception_4a.branch_5x5"),
    "five": named(FIVE),
    "changed": named(("googlenet", "googlenet@inception_4a.reduce_5x5=32")),
    "list": ("list",),
}


@pytest.mark.parametrize("columns", [80, 100, 120])
@pytest.mark.parametrize("page", GOLDEN)
def test_a_page_is_as_it_was(analyze, golden, monkeypatch, page, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    shown = analyze(*GOLDEN[page])
    assert (shown.status, shown.err) == (0, "")
    assert max(map(len, shown.out.splitlines())) <= columns
    golden(f"{page}-{columns}.txt", shown.out)


def test_no_line_ends_in_a_space_and_columns_are_one_apart(analyze, monkeypatch):
    """Also in colour, where the spaces that fill a line would stand before the colour's end."""
    for page_ in (*GOLDEN.values(), ("claims",), ("claims", "--table1")):
        plain = analyze(*page_).out
        assert [line for line in plain.splitlines() if line != line.rstrip()] == []
        monkeypatch.setenv("FORCE_COLOR", "1")
        monkeypatch.setenv("TERM", "xterm")
        coloured = analyze(*page_).out
        assert re.sub(r"\x1b\[[\d;]*m", "", coloured) == plain
        assert not re.search(r" (?:\x1b\[[\d;]*m)*\n", coloured)
        monkeypatch.delenv("FORCE_COLOR")
        monkeypatch.delenv("TERM")
    # Where every cell of a row is as wide as its column, one space parts each from the next.
    table = Table(
        "t", (Column("name", "left"), Column("five5"), Column("tail", "left")), ((Name("abcd"), "1.0 k", "z"),)
    )
    assert page([table], 80, monkeypatch)[1:4:2] == ["name five5 tail", "abcd 1.0 k z"]


@pytest.mark.parametrize(("encoding", "mark"), [("utf-8", "…"), ("ascii", "~")])
def test_a_name_that_is_cut_ends_in_a_mark(monkeypatch, encoding, mark):
    monkeypatch.setenv("COLUMNS", "40")
    text = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    show([Table("t", (Column("module", "left"), Column("figure")), ((Name("n" * 60), "1,234,567"),))], console(text))
    text.seek(0)
    (line,) = [line for line in text.read().splitlines() if line.startswith("nnn")]
    assert re.fullmatch(rf"n+{mark} 1,234,567", line)
    assert len(line) == 40


def test_80_columns_where_nothing_says_how_wide(analyze, monkeypatch):
    unsaid = analyze(*GOLDEN["one"])
    monkeypatch.setenv("COLUMNS", "80")
    assert analyze(*GOLDEN["one"]) == unsaid


@pytest.mark.parametrize("columns", ["", "0", "-5", "wide"])
def test_a_width_that_is_none_is_80(analyze, monkeypatch, columns):
    unsaid = analyze(*GOLDEN["one"])
    monkeypatch.setenv("COLUMNS", columns)
    assert analyze(*GOLDEN["one"]) == unsaid


@pytest.mark.parametrize("page", GOLDEN)
def test_ascii_is_as_it_was_and_ascii(process, golden, page):
    shown = process(*GOLDEN[page], PYTHONIOENCODING="ascii")
    assert (shown.status, shown.err) == (0, "")
    assert shown.out.isascii()
    assert "\\u" not in shown.out, "every sign of ours has a plain twin"
    assert max(map(len, shown.out.splitlines())) <= 80
    golden(f"{page}-ascii.txt", shown.out)


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "cp437", "utf-16"])
def test_other_terminals_get_what_they_can_show(environment, encoding):
    """Lines and bars are no letters of most encodings: such a terminal gets the plain page."""
    done = subprocess.run(
        [sys.executable, "-m", "analyzer", *GOLDEN["one"]],
        env={**environment, "PYTHONIOENCODING": encoding},
        capture_output=True,
        check=True,
    )
    page = done.stdout.decode(encoding)
    assert "1,582,671,872 MACs" in page
    assert "\\u" not in page


def test_colour_and_monochrome_are_as_they_were(analyze, golden, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    coloured = analyze(*GOLDEN["reduction"]).out
    golden("reduction-colour.txt", coloured)
    monkeypatch.setenv("NO_COLOR", "1")
    plain = analyze(*GOLDEN["reduction"]).out
    golden("reduction-no-color.txt", plain)
    colours = r"\x1b\[(?:\d+;)*(?:3|4|9|10)\d(?:;\d+)*m"
    assert re.search(colours, coloured)
    assert not re.search(colours, plain)
    for name in ("FORCE_COLOR", "NO_COLOR", "TERM"):
        monkeypatch.delenv(name)
    strip = re.compile(r"\x1b\[[\d;]*m")
    assert strip.sub("", coloured) == strip.sub("", plain) == analyze(*GOLDEN["reduction"]).out


# Every figure whole


def page(tables, columns: int, monkeypatch) -> list[str]:
    monkeypatch.setenv("COLUMNS", str(columns))
    text = io.StringIO()
    show(tables, console(text))
    return text.getvalue().splitlines()


def assert_whole(table: Table, lines: list[str]) -> None:
    """Each row of the table is a line: its name, perhaps cut short, then every figure to its last sign, in order."""
    rest = iter(lines)
    for name, *cells in table.rows:
        assert isinstance(name, Name)
        figures = [percent(cell.value) if isinstance(cell, Share) else cell for cell in cells]
        pattern = r"\s+(?:[█▏▎▍▌▋▊▉]+\s+)?".join(re.escape(figure) for figure in figures if figure)
        start = re.escape("  " * name.depth + name.text[:4])
        whole = re.compile(rf"{start}\S*…?\s+{pattern}(?:\s+[█▏▎▍▌▋▊▉]*)?\s*")
        assert any(whole.fullmatch(line) for line in rest), f"{name} {figures} is not whole in its place"


def test_columns_that_do_not_fit_are_named(monkeypatch):
    """A name of at least 12 signs, and columns of 9 one apart: 12 + 2 x 10 are 32, with a third 42, with four 52."""
    columns = (Column("module", "left"), *(Column(f"figure {number}") for number in range(4)))
    table = Table("t", columns, ((Name("n" * 30), *("1,234,567",) * 4),))
    lines = page([table], 40, monkeypatch)
    assert lines[3] == "n" * 19 + "… 1,234,567 1,234,567"
    assert " ".join(lines[4:]) == "Left out for want of room: figure 2, figure 3; a terminal of 52 columns has it."
    assert page([table], 52, monkeypatch)[3].endswith(" 1,234,567" * 4)


@pytest.mark.parametrize("columns", [20, 40, 60])
def test_a_narrow_terminal_keeps_names(analyze, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    for page_ in (("--variant", "googlenet"), ("--variant", "googlenet", "--variant", "alexnet")):
        lines = analyze(*page_).out.splitlines()
        assert any(line.startswith("inception") or line.startswith("incep") for line in lines)


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
@pytest.mark.parametrize("name", VARIANTS)
def test_no_figure_of_a_network_is_cut(name, depth, monkeypatch):
    for train in (False, True):
        table = views.network(count(name, train=train), depth)
        lines = page([table], 80, monkeypatch)
        assert max(map(len, lines)) <= 80
        assert_whole(table, lines)


@pytest.mark.parametrize("name", VARIANTS)
def test_no_figure_of_a_large_job_is_cut(name, monkeypatch):
    """A batch of 256 photographs: every figure is at its widest."""
    table = views.network(count(name, input=(3, 3000, 4000), batch=256), 4)
    lines = page([table], 80, monkeypatch)
    assert max(map(len, lines)) <= 80
    assert_whole(table, lines)


@pytest.mark.parametrize("columns", [80, 100, 120])
def test_every_total_stands_there_to_the_last_unit(monkeypatch, columns):
    for name in VARIANTS:
        record = count(name)
        text = " ".join(" ".join(page([views.network(record)], columns, monkeypatch)).split())
        totals = record.totals
        for figure in (totals.params, totals.macs, totals.flops, totals.activations, totals.traffic):
            assert f" {figure:,} " in f" {text} "


@pytest.mark.parametrize("metric", ["params", "macs", "flops", "activations", "traffic"])
@pytest.mark.parametrize("other", [name for name in VARIANTS if name != "googlenet"])
def test_no_figure_of_two_is_cut(other, metric, monkeypatch):
    for table in side_by_side.tables(compare("googlenet", other), metric, 4):
        lines = page([table], 80, monkeypatch)
        assert max(map(len, lines)) <= 80
        assert_summary_or_whole(table, lines)


@pytest.mark.parametrize("metric", ["params", "macs", "traffic"])
def test_no_figure_of_all_is_cut(metric, monkeypatch):
    for table in side_by_side.tables(compare(*VARIANTS), metric, 4):
        lines = page([table], 80, monkeypatch)
        assert max(map(len, lines)) <= 80
        assert_summary_or_whole(table, lines)


def assert_summary_or_whole(table: Table, lines: list[str]) -> None:
    """A summary has lines without a name between its names: the ratios of the one above."""
    for name, *cells in table.rows:
        if not any(cells):  # Another change of the network above.
            assert name.text.startswith("@")
            assert any(line.strip() == name.text for line in lines), f"{name} is not whole"
            continue
        figures = r"\s+".join(re.escape(cell) for cell in cells if cell)
        assert any(re.search(rf"(?:^|\s){figures}\s*$", line) for line in lines), f"{cells} is not whole"
    texts = [name.text for name, *_ in table.rows if name.text]
    assert all(any(line.strip().startswith(text[:4]) for line in lines) for text in texts)


@pytest.mark.parametrize("metric", ["params", "macs", "flops", "activations", "traffic"])
def test_no_figure_of_a_network_and_its_changes_is_cut(metric, monkeypatch):
    changes = [{}, {"inception_4a.reduce_5x5": 32}, {"inception_4a.reduce_5x5": 32, "inception_4a.reduce_3x3": 32}]
    comparison = compare_records([count("googlenet", overrides=change) for change in changes])
    for table in side_by_side.tables(comparison, metric, 4):
        lines = page([table], 80, monkeypatch)
        assert max(map(len, lines)) <= 80
        assert_summary_or_whole(table, lines)


def test_two_changes_of_one_network_can_be_told_apart(monkeypatch):
    changes = [{"inception_4a.reduce_5x5": 24}, {"inception_4a.reduce_5x5": 32}]
    comparison = compare_records([count("googlenet", overrides=change) for change in changes])
    summary, _ = side_by_side.tables(comparison, "macs", 1)
    lines = page([summary], 80, monkeypatch)
    rule = next(number for number, line in enumerate(lines) if line.startswith("─"))
    notes = next(number for number, line in enumerate(lines) if number > rule and " params, " in line)
    shown = "".join(lines[rule:notes])
    assert "=24" in shown
    assert "=32" in shown


def test_the_changes_of_a_network_stand_below_it_one_a_line(monkeypatch):
    changes = [{}, {"inception_4a.reduce_5x5": 24, "conv1.out": 96, "linear.out": 10}]
    comparison = compare_records([count("googlenet", overrides=change) for change in changes])
    summary, _ = side_by_side.tables(comparison, "macs", 1)
    assert [name for name, *_ in summary.rows] == [
        Name("googlenet"),
        Name("googlenet"),
        Name("@inception_4a.reduce_5x5=24", 1),
        Name("@conv1.conv.out=96", 1),
        Name("@linear.out=10", 1),
    ]
    assert all(summary.rows[2][1:]), "the ratios to the first stand beside the first change"
    assert not any(cell for row in summary.rows[3:] for cell in row[1:])


def test_the_rows_of_a_verification_can_be_told_apart(monkeypatch):
    """142 rows, 80 columns: `inception_4a.bran…` names none of them."""
    record = count("googlenet")
    counters = ("closed_form", "dispatch", "fvcore")
    figures = tuple(
        Figure(row.path, row.op, dict.fromkeys(counters, row.macs), dict.fromkeys(counters, row.activations), True)
        for row in record.rows
    )
    agreement = Agreement(counters, (), {}, figures)
    lines = page([views.agreement(record.replace(agreement=agreement))], 80, monkeypatch)
    rows = [line for line in lines if line.endswith("agree")]
    assert len(rows) == len(record.rows)
    assert max(map(len, lines)) <= 80
    assert all(f"{row.macs:,}" in line for row, line in zip(record.rows, rows, strict=True))
    assert not [line for line in rows if "…" in line]


# The parts


def test_a_bar_is_as_long_as_its_share(monkeypatch):
    shares = [0.0, 0.005, 1 / 48, 0.25, 0.5, 0.999, 1.0, 1.5, -1.0]
    table = Table("t", (Column("n", "left"), Column("share", "left")), tuple((Name("n"), Share(s)) for s in shares))
    bars = [line.split("%")[1].strip() for line in page([table], 80, monkeypatch)[3:]]
    assert bars == ["", "", "▏", "█▌", "███", "██████", "██████", "██████", ""]


def test_notes_that_tables_share_are_printed_once_and_last(monkeypatch):
    column = (Column("n", "left"),)
    tables = [
        Table("first", column, ((Name("a"),),), notes=("own", "shared")),
        Table("second", column, ((Name("b"),),), notes=("shared",)),
    ]
    lines = page(tables, 80, monkeypatch)
    assert [line for line in lines if line in ("own", "shared", "first", "second")] == [
        *("first", "own", "second", "shared")
    ]


def test_markup_and_escapes_in_a_table_are_text(monkeypatch):
    hostile = "[bold]x[/] \x1b[31m\n:smile: \u202e"
    table = Table(hostile, (Column(hostile, "left"),), ((Name(hostile),),), notes=(hostile,))
    monkeypatch.setenv("FORCE_COLOR", "1")
    text = "\n".join(page([table], 200, monkeypatch))
    assert "\x1b[31m" not in text
    assert "\u202e" not in text
    stripped = re.sub(r"\x1b\[[\d;]*m", "", text)
    assert stripped.count(r"[bold]x[/] \x1b[31m\n:smile: \u202e") >= 3
