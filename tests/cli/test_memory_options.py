"""`analyze --memory`: its options, their errors, and what other options change."""

from __future__ import annotations

import csv
import json

import pytest

NIN = ("--variant", "nin", "--memory")
TRAIN = (*NIN, "--train")


def memory(analyze, *arguments):
    outcome = analyze(*arguments, "--format", "json")
    assert outcome.status == 0, outcome.err
    return json.loads(outcome.out)["records"][0]["memory"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--variant", "nin", "--train", "--optimizer", "adam"), "--optimizer has no effect without --memory --train"),
        ((*NIN, "--precision", "bf16"), "--precision has no effect without --memory --train"),
        ((*NIN, "--shard", "8"), "--shard has no effect without --memory --train"),
        (("--variant", "nin", "--train", "--accumulate", "4"), "--accumulate has no effect"),
        ((*TRAIN, "--stage", "2"), "--stage has no effect without --shard N"),
        ((*TRAIN, "--memory", "--verify"), "--memory has no effect with --verify"),
        ((*TRAIN, "--shard", "1"), "--shard"),
        (("--variant", "nin", "--against", "24GB"), "--against has no effect without --memory"),
        ((*NIN, "--against", "24GB", "--format", "json"), "--against has no effect with --format json"),
        ((*NIN, "--against", "24"), "wanted 24GB"),
        ((*NIN, "--against", "abacus"), "see analyze list devices"),
    ],
)
def test_an_option_without_effect_is_an_error(analyze, arguments, message):
    outcome = analyze(*arguments)
    assert outcome.status == 2
    assert message in outcome.err


def test_the_largest_batch_for_a_memory_of_the_users_choice(analyze):
    shown = analyze(*NIN, "--against", "8GiB", "--against", "12GB", "--against", "h100").out
    names = [line.rpartition(" ")[0].strip() for line in shown.partition("Largest batch")[2].splitlines()[3:]]
    assert names == ["8GiB", "12GB", "H100 SXM5 80GB (80 GB)"]
    batch = int(next(line for line in shown.splitlines() if line.startswith("12GB")).split()[-1].replace(",", ""))
    fits, fits_not = (memory(analyze, *NIN, "--batch", str(size))["peak"] for size in (batch, batch + 1))
    assert fits <= 12 * 10**9 < fits_not


def test_the_title_has_the_precision_and_gradients_are_those_at_the_peak(analyze):
    shown = analyze(*TRAIN, "--precision", "bf16-mixed", "--optimizer", "adam").out
    assert "training, bf16-mixed, counted by" in shown.splitlines()[0]
    assert "gradients at the peak " in shown


def test_training_in_mixed_precision_on_several_devices(analyze):
    """A bf16 model: half of the bytes; state and master weights in float32, an eighth on each device."""
    plain = memory(analyze, *TRAIN)
    options = ("--optimizer", "adamw", "--precision", "bf16-mixed", "--shard", "8", "--accumulate", "2")
    sharded = memory(analyze, *TRAIN, *options)
    assert sharded["setup"] == {
        "optimizer": "adamw", "precision": "bf16-mixed", "devices": 8, "stage": 3, "accumulate": 2
    }  # fmt: skip
    assert sharded["parameters"] == plain["parameters"] // 2 // 8
    assert sharded["master_weights"] == plain["parameters"] // 8
    state = plain["optimizers"]["adamw"]["state"]
    assert sharded["optimizers"] == {"adamw": {"state": -(-state // 8), **only_temporary(sharded)}}
    assert sharded["inputs"] == plain["inputs"] // 2
    assert sharded["peak_with"]["adamw"] == sharded["peak"] == sum(sharded["terms"].values())
    assert sharded["terms"]["optimizer state"] == sharded["optimizers"]["adamw"]["state"]


def only_temporary(data):
    return {"temporary": data["optimizers"]["adamw"]["temporary"]}


def test_stage_1_keeps_weights_and_gradients_whole(analyze):
    plain, sharded = memory(analyze, *TRAIN), memory(analyze, *TRAIN, "--shard", "4", "--stage", "1")
    assert (sharded["parameters"], sharded["gradients"]) == (plain["parameters"], plain["gradients"])
    assert sharded["gathered"] == 0
    assert sharded["optimizers"]["momentum"]["state"] == plain["optimizers"]["momentum"]["state"] // 4


def test_module_and_depth_choose_modules(analyze):
    """Depth 1 below the module shows its branches, depth 2 their layers too; modules outside are no rows."""
    googlenet = ("--variant", "googlenet", "--memory", "--module", "inception_4a")
    shallow, deep = analyze(*googlenet).out, analyze(*googlenet, "--depth", "2").out
    assert "branch_3x3" in shallow
    assert "reduce" not in shallow
    assert "reduce" in deep
    assert "inception_3a" not in deep
    paths = [module["path"] for module in memory(analyze, *googlenet)["modules"]]
    assert {path.partition(".")[0] for path in paths} == {"inception_4a"}


def test_csv_has_memory(analyze):
    lines = list(csv.DictReader(analyze(*TRAIN, "--format", "csv").out.splitlines()))
    data = memory(analyze, *TRAIN)
    terms = {(line["path"], line["term"]): int(line["bytes"]) for line in lines}
    assert terms["", "peak"] == data["peak"]
    assert {term: terms["", term] for term in data["terms"]} == data["terms"]
    assert terms["", "peak with adam"] == data["peak_with"]["adam"]
    assert terms[data["modules"][0]["path"], "allocated"] == data["modules"][0]["allocated"]


def test_markdown_has_the_terms(analyze):
    shown = analyze(*TRAIN, "--optimizer", "momentum", "--format", "md").out
    assert "| optimizer state |" in shown
    assert "| momentum |" in shown


def test_the_largest_batch_depends_on_the_optimizer(analyze):
    """Less state leaves room for more samples."""
    outcome = analyze(*TRAIN)
    rows = {line.split()[0]: line.split()[-1] for line in outcome.out.splitlines() if line[:3] in ("sgd", "ada")}
    assert int(rows["sgd"].replace(",", "")) >= int(rows["adam"].replace(",", ""))
    assert set(rows) == {"sgd", "adam", "adamw", "adam8bit"}
