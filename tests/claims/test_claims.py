"""Claims and Table 1 against independently computed values (tests/reference), to the last unit."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from analyzer import count
from analyzer.claims import ENTRIES, VERDICTS, find, ledger, saving, table1
from analyzer.claims.claim import Printed
from analyzer.cli.app import main
from analyzer.core.errors import AnalyzerError
from analyzer.networks import googlenet
from analyzer.networks.googlenet import TABLE, Inception

REFERENCE = Path(__file__).parents[1] / "reference"
CLAIMS = {claim["id"]: claim for claim in json.loads((REFERENCE / "claims.json").read_text())["claims"]}
PAPER = json.loads((REFERENCE / "paper_table1.json").read_text())
FORMATS = ("table", "json", "csv", "md", "latex")
QUESTIONS = ((), ("--table1",), ("12x-fewer-params",), ("aux-structure",), ("--module", "inception_3a"))

EXPECTED_VERDICTS = {
    "5x5-branch-without-1x1": "confirmed",
    "5x5-branch-with-1x1": "confirmed",
    "5x5-branch-21.4x": "confirmed",
    "21.4x-in-every-module": "not reproduced",
    "21.4x-whole-network": "not reproduced",
    "12x-fewer-params": "not reproduced",
    "1.5-billion-budget": "confirmed under a condition",
    "flops-vs-alexnet": "not reproduced",
    "22-layers": "confirmed",
    "about-100-blocks": "confirmed under a condition",
    "gap-top1": "not decidable by counting",
    "aux-weight": "confirmed",
    "aux-structure": "confirmed",
    "aux-removed": "confirmed",
    "dropout-40": "confirmed under a condition",
    "fc-params-alexnet": "confirmed",
    "1x1-lowers-compute": "confirmed",
}


@pytest.fixture(scope="module")
def claims() -> dict[str, Any]:
    return {claim.id: claim for claim in ledger()}


def test_every_claim_of_the_reference_is_in_the_ledger(claims: dict[str, Any]) -> None:
    extra = {"5x5-branch-21.4x", "21.4x-in-every-module", "21.4x-whole-network"}
    assert set(claims) == set(CLAIMS) | extra
    assert [claim.id for claim in ledger()] == list(ENTRIES)


@pytest.mark.parametrize("id", [id for id, claim in CLAIMS.items() if claim["computed"] is not None])
def test_computed_values_are_those_of_the_reference(id: str, claims: dict[str, Any]) -> None:
    assert claims[id].computed == CLAIMS[id]["computed"]


def test_cost_of_a_fully_connected_layer_is_that_of_the_reference(claims: dict[str, Any]) -> None:
    assert claims["gap-top1"].computed == CLAIMS["gap-top1"]["cost_of_fc"]


def test_verdicts(claims: dict[str, Any]) -> None:
    assert {id: claim.verdict for id, claim in claims.items()} == EXPECTED_VERDICTS
    assert VERDICTS == (
        "confirmed",
        "confirmed under a condition",
        "not reproduced",
        "not decidable by counting",
    )
    assert {claim.verdict for claim in claims.values()} == set(VERDICTS)


def test_a_verdict_that_is_not_plainly_confirmed_says_why(claims: dict[str, Any]) -> None:
    for claim in claims.values():
        assert claim.condition or claim.verdict == "confirmed", claim.id
        assert claim.claim.endswith(".")
        assert claim.source
        assert claim.operands


def test_the_branch_is_the_product_of_its_operands(claims: dict[str, Any]) -> None:
    without = claims["5x5-branch-without-1x1"]
    assert without.operands == {"height": 14, "width": 14, "filters": 48, "kernel": 5, "in_channels": 480}
    assert without.computed == (14 * 14 * 48) * (5 * 5 * 480)
    reduced = claims["5x5-branch-with-1x1"]
    assert reduced.operands["reduce_macs"] == 14 * 14 * 16 * 480
    assert reduced.operands["conv_macs"] == 14 * 14 * 48 * 5 * 5 * 16
    assert reduced.computed == 14 * 14 * 16 * 480 + 14 * 14 * 48 * 5 * 5 * 16
    assert claims["5x5-branch-21.4x"].computed == {"ratio": without.computed / reduced.computed}


def test_formulas_are_arithmetic(claims: dict[str, Any]) -> None:
    """Both sides of each formula are equal, to the digits that the right side shows."""
    formulas = {id: claim.formula for id, claim in claims.items() if claim.formula}
    assert len(formulas) == 11
    for id, formula in formulas.items():
        left, _, right = formula.partition(" = ")
        share = 100 if right.endswith(" %") else 1
        value = share * eval(left.replace(",", "").translate(str.maketrans("·÷−", "*/-")))
        shown = right.removesuffix(" %").replace(",", "")
        decimals = len(shown.partition(".")[2])
        assert f"{value:.{decimals}f}" == shown, id


def test_conditions_name_what_they_should(claims: dict[str, Any]) -> None:
    assert "separable stem" in claims["1.5-billion-budget"].condition
    assert "8.71×" in claims["12x-fewer-params"].condition
    assert "auxiliary heads" in claims["about-100-blocks"].condition
    assert "softmax" in claims["about-100-blocks"].condition
    assert "measured" in claims["gap-top1"].condition
    assert "2.18× more" in claims["flops-vs-alexnet"].condition
    assert "2.80×" in claims["21.4x-whole-network"].condition


def test_blocks_are_the_sum_of_their_kinds(claims: dict[str, Any]) -> None:
    operands = claims["about-100-blocks"].operands
    inference = 57 + 14 + 2 + 9 + 1 + 1 + 1  # conv, pool, LRN, concat, dropout, linear, softmax
    assert [operands[kind] for kind in ("conv", "pool", "lrn", "concat", "dropout", "linear", "softmax")] == [
        57, 14, 2, 9, 1, 1, 1,
    ]  # fmt: skip
    heads = {kind: value for kind, value in operands.items() if kind.startswith("heads_")}
    assert sum(heads.values()) == 2 * 6  # Each: pool, conv, fc, dropout, fc, softmax.
    assert claims["about-100-blocks"].computed["with_both_aux_heads"] == inference + 2 * 6


def test_values_follow_the_network_spec(monkeypatch: pytest.MonkeyPatch) -> None:
    row = TABLE["inception_4a"]
    assert isinstance(row, Inception)
    wider = googlenet.GOOGLENET.replace(rows={**TABLE, "inception_4a": row.replace(reduce_5x5=32)})
    monkeypatch.setattr(googlenet, "GOOGLENET", wider)
    branch = find("5x5-branch-with-1x1")
    assert branch.computed == 14 * 14 * 32 * 480 + 14 * 14 * 48 * 5 * 5 * 32
    assert branch.verdict == "not reproduced"
    assert find("5x5-branch-21.4x").verdict == "not reproduced"
    assert table1.rows()[4].ops_match == "differs"


def test_depth_follows_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    shallow = {name: row for name, row in TABLE.items() if name != "inception_5b"}
    monkeypatch.setattr(googlenet, "GOOGLENET", googlenet.GOOGLENET.replace(rows=shallow))
    claim: Any = find("22-layers")
    assert claim.computed["depth_parametrised"] == 22 - 2  # An inception module's longest branch: reduce, then conv.
    assert claim.verdict == "not reproduced"


def test_the_saving_is_confirmed_for_one_branch_only() -> None:
    modules = [module.path for module in count("googlenet").modules]
    assert len(modules) > 100
    verdicts = {module: saving(module).verdict for module in [*modules, "total"]}
    assert {module for module, verdict in verdicts.items() if verdict == "confirmed"} == {"inception_4a.branch_5x5"}
    under_condition = {m for m, verdict in verdicts.items() if verdict == "confirmed under a condition"}
    assert under_condition == {"inception_4a"}
    assert set(verdicts.values()) == {"confirmed", "confirmed under a condition", "not reproduced"}


def test_the_saving_of_a_module() -> None:
    whole = saving("total")
    assert whole.computed == {"ratio": 4426547200 / 1582671872}
    assert whole.summary == "2.80×"
    assert saving() == whole
    five_a = saving("inception_5a.branch_5x5")
    without, reduced = 7 * 7 * 128 * 5 * 5 * 832, 7 * 7 * 32 * 832 + 7 * 7 * 128 * 5 * 5 * 32
    assert five_a.operands == {"macs_without_reduction": without, "macs_with_reduction": reduced}
    assert five_a.computed == {"ratio": without / reduced}
    assert "20.6×" in five_a.condition
    four_a = saving("inception_4a")
    assert "5x5 branch saves 21.4×" in four_a.condition
    assert four_a.summary == "4.25×"


def test_the_saving_where_there_is_nothing_to_divide() -> None:
    assert saving("pool1").computed == {"ratio": None}
    assert "neither network" in saving("pool1").condition
    assert saving("inception_4a.branch_5x5.reduce").computed == {"ratio": None}
    assert "only with the reduction" in saving("inception_4a.branch_5x5.reduce").condition
    assert saving("conv1").computed == {"ratio": 1}
    assert "without the 1x1" in saving("inception_4a.branch_5x5.conv").condition


def test_savings_in_every_module(claims: dict[str, Any]) -> None:
    savings = claims["21.4x-in-every-module"].computed
    assert list(savings) == [name for name, row in TABLE.items() if isinstance(row, Inception)]
    # 3a: 192 inputs; per pixel 128·9·192 against 96·192 + 128·9·96, and 32·25·192 against 16·192 + 32·25·16.
    assert savings["inception_3a"]["branch_3x3"] == (128 * 9 * 192) / (96 * 192 + 128 * 9 * 96)
    assert savings["inception_3a"]["branch_5x5"] == (32 * 25 * 192) / (16 * 192 + 32 * 25 * 16)
    others = sorted(
        ratio
        for name, branches in savings.items()
        for branch, ratio in branches.items()
        if branch != "module" and (name, branch) != ("inception_4a", "branch_5x5")
    )
    assert [f"{ratio:.1f}" for ratio in (others[0], others[-1])] == ["1.7", "20.6"]


def test_unknown_names_are_refused_with_the_nearest() -> None:
    with pytest.raises(AnalyzerError, match=r"no module 'inception_4x' in googlenet; nearest: inception_4"):
        saving("inception_4x")
    with pytest.raises(AnalyzerError, match="no claim '12x-fewer'; nearest: 12x-fewer-params"):
        find("12x-fewer")


@pytest.mark.parametrize(
    ("printed", "counted", "match"),
    [
        (Printed("159", 1024), 163328, "exact"),  # 159.5 · 1024: halfway, so 159 and 160 are both nearest.
        (Printed("160", 1024), 163328, "exact"),
        (Printed("159", 1024), 163328 + 1, "truncated"),
        (Printed("73", 10**6), 73608192, "truncated"),
        (Printed("74", 10**6), 73608192, "exact"),
        (Printed("75", 10**6), 73608192, "differs"),
        (Printed("380", 1024), 379 * 1024, "differs"),
        (Printed("112.9", 10**6), 112896000, "exact"),
        (Printed("112.8", 10**6), 112896000, "truncated"),
        (Printed("2.7", 1000), 2712, "exact"),
        (Printed("2.7", 1024), 2712, "differs"),  # 2.648.
    ],
)
def test_a_printed_number_against_a_counted_one(printed: Printed, counted: int, match: str) -> None:
    assert printed.match(counted) == match


def test_table1_has_the_papers_rows() -> None:
    assert [row.row for row in table1.rows()] == [expected["row"] for expected in PAPER["rows"]]


@pytest.mark.parametrize("index", range(len(PAPER["rows"])), ids=[row["row"] for row in PAPER["rows"]])
def test_table1_row(index: int) -> None:
    row, expected = table1.rows()[index], PAPER["rows"][index]
    assert f"{row.printed_params.digits}K" == expected["paper_params"]
    assert f"{row.printed_ops.digits}M" == expected["paper_ops"]
    assert (row.weights, row.biases, row.macs) == (expected["weights"], expected["biases"], expected["macs"])
    assert (row.params_match, row.ops_match) == (expected["params_match"], expected["ops_match"])


def test_table1_covers_every_weight_of_the_network() -> None:
    rows, totals = table1.rows(), table1.totals()
    assert sum(row.weights + row.biases for row in rows) == count("googlenet").totals.params
    assert sum(row.macs for row in rows) == count("googlenet").totals.macs == totals.macs


def test_table1_totals(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["claims", "--table1", "--format", "json"]) == 0
    totals = json.loads(capsys.readouterr().out)["totals"]
    expected = {key: value for key, value in PAPER["totals"].items() if key != "sum_of_paper_params_column"}
    assert totals == expected  # The column at K = 1000 is left out: its K is 1024.


def test_every_difference_is_explained_in_counted_numbers() -> None:
    rows = {row.row: row.explanation for row in table1.rows()}
    conv1 = rows["conv1 7x7/2"]
    assert f"7×7×3×8 + 24×64 = {7 * 7 * 3 * 8 + 24 * 64:,} weights" in conv1
    assert f"{(7 * 7 * 3 * 8 + 24 * 64) * 112 * 112 / 1e6:.2f} M multiply-adds" in conv1
    assert "googlenet-separable-stem" in conv1
    assert f"{509440 / 1024:g} × 1024, printed 463: {100 * (1 - 463 / 497.5):.1f} % low" in rows["inception (4c)"]
    assert f"463 × 1024 × 196 positions = {463 * 1024 * 14 * 14 / 1e6:.2f} M" in rows["inception (4c)"]
    assert f"1072 × 1024 × 49 positions = {1072 * 1024 * 7 * 7 / 1e6:.2f} M" in rows["inception (5a)"]
    assert {name for name, text in rows.items() if "agree with each other" in text} == {
        "inception (4a)",  # 364 · 1024 · 14 · 14 = 73.06 M: the printed 73 is that of the printed 364.
        "inception (4b)",
        "inception (5a)",
    }
    assert "Both columns agree" in conv1
    assert f"With biases it is {(388096 + 640) / 1024:.1f}, which rounds to 380" in rows["inception (3b)"]
    assert "printed 73: truncated" in rows["inception (4a)"]
    for row in table1.rows():
        words = (row.params_match, row.ops_match)
        assert (" low" in row.explanation or " high" in row.explanation) == ("differs" in words), row.row


def test_no_round_filter_number_gives_the_printed_5a() -> None:
    """What data/table1.json says of 5a, by trying: one number at a time, every value up to four times it."""
    row = TABLE["inception_5a"]
    assert isinstance(row, Inception)
    fits = []
    for key in Inception.keys:
        for value in range(1, 4 * getattr(row, key) + 1):
            one, three, three_out, five, five_out, pool = vars(row.replace(**{key: value})).values()
            weights = 832 * (one + three + five + pool) + 9 * three * three_out + 25 * five * five_out
            if round(weights / 1024) == 1072 and round(weights * 7 * 7 / 1e6) == 54:
                fits.append(value)
    assert fits  # Odd numbers do, so the search finds what there is.
    assert all(value % 4 for value in fits)


@pytest.mark.parametrize("question", QUESTIONS, ids=" ".join)
@pytest.mark.parametrize("form", FORMATS)
def test_every_form_of_every_question(
    form: str, question: tuple[str, ...], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["claims", *question, "--format", form]) == 0
    shown = capsys.readouterr().out
    target = tmp_path / "out"
    assert main(["claims", *question, "--format", form, "-o", str(target)]) == 0
    assert target.read_text(encoding="utf-8") == shown
    expected = len(PAPER["rows"]) if "--table1" in question else 1 if question else len(EXPECTED_VERDICTS)
    if form == "json":
        envelope = json.loads(shown)
        assert (envelope["schema_version"], envelope["status"]) == (2, "ok")
        entries = envelope["table1" if "--table1" in question else "claims"]
        assert len(entries) == expected
        if "--table1" not in question:
            keys = ["id", "claim", "source", "operands", "computed", "verdict", "condition"]
            assert all(list(entry) == keys for entry in entries)
    if form == "csv":
        lines = list(csv.DictReader(io.StringIO(shown)))
        assert len(lines) == expected
        assert None not in lines[0]
        if "--table1" not in question:
            assert (
                json.loads(lines[0]["computed"])
                == (saving("inception_3a") if "--module" in question else find(lines[0]["id"])).computed
            )


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["22-layer"], "nearest: 22-layers"),
        (["--module", "inception_4x"], "nearest:"),
        (["--module", ""], "--module is empty"),
        (["22-layers", "--table1"], "give one"),
        (["--table1", "--module", "conv1"], "give one"),
    ],
)
def test_bad_questions_are_one_line_and_status_2(
    arguments: list[str], word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["claims", *arguments]) == 2
    shown = capsys.readouterr()
    assert word in shown.err
    assert shown.err.count("\n") == 1
    assert not shown.out


@pytest.mark.parametrize("question", QUESTIONS, ids=" ".join)
def test_an_ascii_terminal_of_80_columns_shows_everything(question: tuple[str, ...]) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    environment.pop("COLUMNS", None)
    done = subprocess.run(
        [sys.executable, "-m", "analyzer", "claims", *question], env=environment, capture_output=True, check=True
    )
    shown = done.stdout.decode("ascii")
    assert max(map(len, shown.splitlines())) <= 80
    assert "\\" not in shown  # No character that had to be escaped.
    assert "~" not in shown  # The mark of a cell that was cut short.


def test_nothing_of_it_imports_torch() -> None:
    code = (
        "import sys; from analyzer.cli.app import main; from analyzer.claims import ledger, saving, table1; "
        "ledger(); saving('inception_4a'); table1.rows(); table1.totals(); "
        "[main(['claims', *question, '--format', form]) for form in ('table', 'json', 'csv', 'md', 'latex') "
        "for question in ([], ['--table1'])]; "
        "print('analyzer.claims' in sys.modules, {'torch', 'fvcore', 'pandas'} & set(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "True set()\n"
