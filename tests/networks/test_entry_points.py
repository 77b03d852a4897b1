"""Networks of other packages by the entry point `analyzer.networks`: valid ones are used, broken ones named."""

from __future__ import annotations

import csv
import io
import itertools
import json
import sys
from pathlib import Path

import pytest

from analyzer.core.errors import AnalyzerError
from analyzer.networks import VARIANTS, find

NUMBER = itertools.count()
PREAMBLE = "from analyzer.networks.spec import *\n"
TINY = """
TINY = Network(
    "tiny", "two layers", "nobody",
    {"conv": Conv(4, 3), "relu": ReLU(), "pool": AdaptiveAvgPool(1), "flatten": Flatten(), "fc": Linear(2)},
    input=(3, 8, 8),
)
"""
# 8 x 8 positions, 3 x 3 x 3 inputs, 4 outputs; then 4 features to 2 classes.
TINY_MACS = 8 * 8 * 4 * 3 * 3 * 3 + 4 * 2
TINY_PARAMS = 4 * 3 * 3 * 3 + 4 + 4 * 2 + 2


def write(folder: Path, source: str, points: dict[str, str]) -> str:
    """Writes a distribution with one module and these entry points; `{}` in a value is the module's name."""
    number = next(NUMBER)
    module, owner = f"others{number}", f"other-networks-{number}"
    (folder / f"{module}.py").write_text(PREAMBLE + source, encoding="utf-8")
    info = folder / f"other_networks_{number}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {owner}\nVersion: 1.0\n")
    lines = [f"{name} = {value.replace('{}', module)}" for name, value in points.items()]
    (info / "entry_points.txt").write_text("\n".join(["[analyzer.networks]", *lines, ""]), encoding="utf-8")
    return owner


@pytest.fixture
def distribution(tmp_path, monkeypatch):
    """`distribution(source, {name: "{}:OBJECT"})` – installs a package for this test; its name."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(tmp_path)
    yield lambda source, points: write(tmp_path, source, points)
    for name in set(sys.modules) - before:
        if name.startswith("others"):
            del sys.modules[name]


def refused(outcome, *words: str) -> None:
    assert (outcome.status, outcome.out) == (2, "")
    assert outcome.err.startswith("analyze: ")
    assert outcome.err.removesuffix("\n").isprintable()
    for word in words:
        assert word in outcome.err


# A good one


def test_a_good_network_is_listed_and_counted(analyze, distribution):
    distribution(TINY, {"tiny": "{}:TINY"})
    listed = json.loads(analyze("list", "--format", "json").out)["variants"]
    assert [entry["model"] for entry in listed] == [*VARIANTS, "tiny"]
    assert (listed[-1]["title"], listed[-1]["input"]) == ("two layers", [[1, 3, 8, 8]])
    (record,) = json.loads(analyze("--variant", "tiny", "--format", "json").out)["records"]
    assert record["totals"] == listed[-1]["totals"]
    assert (record["totals"]["macs"], record["totals"]["params"]) == (TINY_MACS, TINY_PARAMS)
    shown = analyze("list")
    assert (shown.status, shown.err) == (0, "")
    assert any(line.startswith("tiny ") and line.rstrip().endswith("two layers") for line in shown.out.splitlines())


def test_overrides_modules_and_comparisons_work_on_it(analyze, distribution):
    distribution(TINY, {"tiny": "{}:TINY"})
    (changed,) = json.loads(analyze("--variant", "tiny@conv.out=8", "--format", "json").out)["records"]
    assert changed["rows"][0]["outputs"] == [[1, 8, 8, 8]]
    (part,) = json.loads(analyze("--variant", "tiny", "--module", "fc", "--format", "json").out)["records"]
    assert part["totals"]["macs"] == 4 * 2
    assert analyze("--variant", "googlenet", "--variant", "tiny").out.startswith("googlenet against tiny")
    refused(analyze("--variant", "tiny", "--set", "conv.width=3"), "conv.out")


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")
def test_it_can_be_verified(analyze, distribution):
    distribution(TINY, {"tiny": "{}:TINY"})
    (record,) = json.loads(analyze("--variant", "tiny", "--verify", "--format", "json").out)["records"]
    assert record["agreement"]["differences"] == []
    assert len(record["agreement"]["counters"]) == 3
    assert json.loads(analyze("--variant", "tiny", "--counter", "dispatch", "--format", "json").out)["records"][0][
        "totals"
    ] == {**record["totals"]}


def test_an_entry_point_may_be_a_function(analyze, distribution):
    distribution(TINY + "def tiny():\n    return TINY\n", {"tiny": "{}:tiny"})
    shown = analyze("--variant", "tiny")
    assert (shown.status, shown.err) == (0, "")
    assert f"{TINY_MACS:,} MACs" in shown.out


def test_it_is_among_the_nearest_names(analyze, distribution):
    distribution(TINY, {"tiny": "{}:TINY"})
    refused(analyze("--variant", "tinny"), "'tinny'", "nearest: tiny")


def test_a_new_process_lists_and_counts_it(process, tmp_path):
    others = tmp_path / "others"
    others.mkdir()
    write(others, TINY, {"tiny": "{}:TINY", "missing": "{}:MISSING"})
    shown = process("list", PYTHONPATH=str(others))
    assert shown.status == 0
    assert "tiny " in shown.out
    assert "'missing'" in shown.err
    assert process("--variant", "tiny", PYTHONPATH=str(others)).status == 0


def test_our_names_never_read_entry_points(monkeypatch):
    reads = []
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: reads.append(group) or [])
    assert [find(name).name for name in VARIANTS] == list(VARIANTS)
    assert reads == []
    with pytest.raises(AnalyzerError, match=r"unknown variant 'zzz'; known: googlenet, .*vgg16"):
        find("zzz")
    assert reads == ["analyzer.networks"]


def test_our_network_has_precedence_over_one_of_the_same_name(analyze, distribution):
    before = analyze("--variant", "nin"), analyze("list")
    distribution(TINY, {"nin": "{}:TINY"})
    assert (analyze("--variant", "nin"), analyze("list")) == before


def test_a_network_with_our_name_in_its_spec_replaces_nothing(analyze, distribution):
    """The entry point is `mine`, the name in its spec googlenet: googlenet in the list is still ours."""
    before = json.loads(analyze("list", "--format", "json").out)["variants"]
    distribution(TINY.replace('"tiny"', '"googlenet"'), {"mine": "{}:TINY"})
    shown = analyze("list", "--format", "json")
    assert json.loads(shown.out)["variants"][: len(before)] == before


def test_a_listed_name_can_be_counted(analyze, distribution):
    """`list` shows the names that `--variant` takes: those of entry points."""
    distribution(TINY, {"mine": "{}:TINY"})
    for entry in json.loads(analyze("list", "--format", "json").out)["variants"]:
        assert analyze("--variant", entry["model"]).status == 0


# A broken one: named with its package, and the others still work

BROKEN = {
    "no such module": ("", "no_such_module_{}:TINY", "ModuleNotFoundError"),
    "no such object": ("", "{}:MISSING", "AttributeError"),
    "an import that fails": ("import no_such_package_at_all\n", "{}:TINY", "no_such_package_at_all"),
    "a syntax error": ("def (\n", "{}:TINY", "SyntaxError"),
    "a function that raises": ("def tiny():\n    raise RuntimeError('two\\nlines \\x1b[31m')\n", "{}:tiny", "two"),
    "a function that wants more": ("def tiny(width):\n    return None\n", "{}:tiny", "TypeError"),
    "a string": ("TINY = 'tiny'\n", "{}:TINY", "str"),
    "a dict": ("def tiny():\n    return {}\n", "{}:tiny", "dict"),
    "nothing": ("TINY = None\n", "{}:TINY", "NoneType"),
    "the module": (TINY, "{}", "module"),
    "an exit": ("import sys\nsys.exit(7)\n", "{}:TINY", "SystemExit"),
    "a function that exits": ("def tiny():\n    raise SystemExit\n", "{}:tiny", "SystemExit"),
    "no layers": ("TINY = Network('tiny', '', '', {})\n", "{}:TINY", "tiny"),
    "a stride of zero": ("TINY = Network('tiny', '', '', {'conv': Conv(4, 3, 0)})\n", "{}:TINY", "tiny"),
    "a text for a layer": ("TINY = Network('tiny', '', '', {'conv': 'text'})\n", "{}:TINY", "AttributeError"),
    "a text for a number": ("TINY = Network('tiny', '', '', {'c': Conv('many', 3)})\n", "{}:TINY", "TypeError"),
    "a flat input": ("TINY = Network('tiny', '', '', {'c': Conv(4, 3)}, (8, 8))\n", "{}:TINY", "tiny.c with"),
    "groups that do not divide": ("TINY = Network('tiny', '', '', {'c': Conv(4, 3, groups=2)})\n", "{}:TINY", "groups"),
    "a layer without formula": (
        "class Odd(ReLU):\n    op = 'odd'\nTINY = Network('tiny', '', '', {'odd': Odd()})\n",
        "{}:TINY",
        "Odd",
    ),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_network_is_refused_by_name_and_the_rest_is_listed(analyze, distribution, kind):
    source, point, word = BROKEN[kind]
    before = json.loads(analyze("list", "--format", "json").out)["variants"]
    owner = distribution(source, {"tiny": point})
    good = distribution(TINY.replace("tiny", "good"), {"good": "{}:TINY"})
    shown = analyze("list", "--format", "json")
    assert shown.status == 0
    assert [entry["model"] for entry in json.loads(shown.out)["variants"]] == [
        *(entry["model"] for entry in before),
        "good",
    ]
    assert shown.err.startswith("analyze: warning: ")
    assert shown.err.removesuffix("\n").isprintable(), "one line"
    for part in ("tiny", owner, word):
        assert part in shown.err
    assert good not in shown.err
    refused(analyze("--variant", "tiny"), "tiny", word)
    assert analyze("--variant", "nin").status == 0


def test_a_broken_network_is_not_loaded_to_count_ours(analyze, distribution):
    distribution("raise RuntimeError('loaded')\n", {"tiny": "{}:TINY"})
    shown = analyze("--variant", "nin")
    assert (shown.status, shown.err) == (0, "")


# A hostile one: its names are plain text in every format

NAME = "+é|`[x](y)<b>\x1b[31m\x9b\u202e\U0001f600"
HOSTILE = rf"""
EVIL = Network(
    {NAME!a}, "@title é\x1b]0;x\x07\n<b>&amp;</b> [red]r[/]", "nobody",
    {{"=row é\x9b31m\u2028<i>": Conv(4, 3), "-r\n&_%$#{{}}~^\\": ReLU(),
     "total": ReLU(), "pool\x1b[31m\n": MaxPool(3, 2)}},
    input=(3, 8, 8),
)
"""
FORMS = ("table", "json", "csv", "md", "latex")


@pytest.fixture
def evil(distribution):
    distribution(HOSTILE, {NAME: "{}:EVIL"})


JOBS = {"list": ("list",), "one": ("--variant", NAME), "two": ("--variant", NAME, "--variant", "googlenet")}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("job", JOBS)
def test_hostile_names_are_escaped(analyze, evil, job, form):
    shown = analyze(*JOBS[job], "--format", form)
    assert (shown.status, shown.err) == (0, "")
    assert "é" in shown.out or r"\u00e9" in shown.out, "printable characters stay"
    assert all(char.isprintable() or char == "\n" for char in shown.out.replace("\u00a0", " "))
    if form == "md":
        assert "<" not in shown.out
        assert "[x](y)" not in shown.out
    if form == "csv":
        for cell in itertools.chain.from_iterable(csv.reader(io.StringIO(shown.out))):
            assert cell[:1] not in ("=", "+", "@", "\t")
            assert cell[:1] != "-" or cell == "-" or cell[1:2].isdigit()
    if form == "latex":
        for line in shown.out.splitlines():
            assert line.startswith("%") or not any(
                bare
                in line.replace(r"$\times$", "")
                .replace(r"\%", "")
                .replace(r"\_", "")
                .replace(r"\#", "")
                .replace(r"\$", "")
                for bare in "%_#$"
            )


@pytest.mark.parametrize("form", FORMS)
def test_hostile_names_on_a_plain_terminal(process, tmp_path, form):
    others = tmp_path / "others"
    others.mkdir()
    write(others, HOSTILE, {NAME: "{}:EVIL"})
    shown = process(
        "--variant", NAME, "--format", form, PYTHONPATH=str(others), PYTHONIOENCODING="ascii", PYTHONUTF8="0"
    )
    assert (shown.status, shown.err) == (0, "")
    assert shown.out.isascii()
    if form == "json":
        (record,) = json.loads(shown.out)["records"]
        assert record["model"] == NAME


@pytest.mark.parametrize(
    "arguments",
    [
        ("--module", "nope"),
        ("--set", "nope.out=3"),
        ("--input", "3x1x1"),
        ("--variant", NAME),
    ],
    ids=ascii,
)
def test_hostile_names_in_errors(analyze, evil, arguments):
    refused(analyze("--variant", NAME, *arguments))


def test_a_long_name_is_cut_before_a_number(analyze, distribution):
    long = "network" * 10
    distribution(TINY.replace('"tiny"', f'"{long}"'), {long: "{}:TINY"})
    lines = analyze("--variant", long, "--variant", "googlenet").out.splitlines()
    assert max(map(len, lines)) <= 80
    assert any(line.startswith("inception_4a") and line.endswith("only in 2nd") for line in lines)


def test_a_module_called_total_is_not_the_total(analyze, evil):
    lines = json.loads(analyze("--variant", NAME, "--variant", "nin", "--format", "json").out)["comparison"]
    totals = [line["values"]["nin"] for line in lines if (line["path"], line["metric"]) == ("total", "macs")]
    assert totals == [1_100_188_800]
