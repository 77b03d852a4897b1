"""Error rates of the check of counts, missed changes by 1 and false alarms: `python -m benchmarks.count_gate`.

Changes every count of every layer of every variant, in both modes, by +1 and where possible by -1. Also compares every
model with itself, through a file. The bound is one-sided at 95 %, for that number of trials.
"""

from __future__ import annotations

from analyzer.counting.api import count
from analyzer.networks import VARIANTS
from analyzer.regression.counts import baseline_json
from analyzer.regression.counts.compare_with_baseline import compare
from analyzer.regression.counts.snapshot import LAYER_METRICS, MODES, Snapshot, snapshot
from benchmarks.common import parse_options


def with_count(before: Snapshot, index: int, metric: str, value: int) -> Snapshot:
    """The snapshot with one count of one layer replaced."""
    layer = before.layers[index]
    changed = layer.replace(counts={**layer.counts, metric: value})
    return before.replace(layers=(*before.layers[:index], changed, *before.layers[index + 1 :]))


def detected(before: Snapshot, index: int, metric: str, step: int) -> bool:
    """Whether the check reports that layer's count with the right outcome, and no other layer."""
    layer = before.layers[index]
    after = with_count(before, index, metric, layer.counts.get(metric, 0) + step)
    check = compare("net", before.mode, before, after)
    changed = [(change.path, change.op, change.call, change.metric) for change in check.changes if change.call]
    return changed == [(*layer.key, metric)] and check.outcome == ("regressed" if step > 0 else "improved")


def main() -> None:
    parse_options(__doc__)
    trials = misses = models = alarms = 0
    for name in VARIANTS:
        for mode in MODES:
            current = snapshot(count(name, train=mode == "training", memory=mode == "inference"))
            stored = baseline_json.load(baseline_json.dump({name: {mode: current}}))[name][mode]
            models += 1
            alarms += any(change.outcome != "unchanged" for change in compare(name, mode, stored, current).changes)
            for index, layer in enumerate(current.layers):
                for metric in LAYER_METRICS if mode == "training" else LAYER_METRICS[:-1]:
                    for step in (1, -1) if layer.counts.get(metric) else (1,):
                        trials += 1
                        misses += not detected(current, index, metric, step)
    bound = 1 - 0.05 ** (1 / trials)
    print(f"changes of one: {trials:,} trials, {misses} missed or misattributed (below {bound:.4%} at 95 % if none)")
    print(f"equal models: {models}, {alarms} false alarms; counts have no noise, so that one run decides")


if __name__ == "__main__":
    main()
