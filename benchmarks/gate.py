"""How often the exact gate misses a change of one, and how often it alarms at none: `python -m benchmarks.gate`.

Every figure of every layer of every variant, in both modes, one more and where it can be one less; and every model held
against itself, through a file. Bounds are one-sided, 95 %, for as many trials.
"""

from __future__ import annotations

from analyzer.counting.api import count
from analyzer.networks import VARIANTS
from analyzer.regression.counts import baseline
from analyzer.regression.counts.gate import MODES, hold
from analyzer.regression.counts.snapshot import LAYER_METRICS, Snapshot, snapshot


def changed(one: Snapshot, index: int, metric: str, value: int) -> Snapshot:
    """The snapshot with one figure of one layer set."""
    layer = one.layers[index]
    other = layer.replace(figures={**layer.figures, metric: value})
    return one.replace(layers=(*one.layers[:index], other, *one.layers[index + 1 :]))


def found(before: Snapshot, index: int, metric: str, step: int) -> bool:
    """Whether the gate says of that layer's figure, and of no other layer's, what happened to it."""
    layer = before.layers[index]
    held = hold("net", before.mode, before, changed(before, index, metric, layer.figures.get(metric, 0) + step))
    said = [(v.path, v.op, v.call, v.metric) for v in held.verdicts if v.call]
    return said == [(*layer.key, metric)] and held.outcome == ("regressed" if step > 0 else "improved")


def main() -> None:
    trials = misses = models = alarms = 0
    for name in VARIANTS:
        for mode in MODES:
            one = snapshot(count(name, train=mode == "training", memory=mode == "inference"))
            kept = baseline.load(baseline.dump({name: {mode: one}}))[name][mode]
            models += 1
            alarms += any(verdict.outcome != "unchanged" for verdict in hold(name, mode, kept, one).verdicts)
            for index, layer in enumerate(one.layers):
                for metric in LAYER_METRICS if mode == "training" else LAYER_METRICS[:-1]:
                    for step in (1, -1) if layer.figures.get(metric) else (1,):
                        trials += 1
                        misses += not found(one, index, metric, step)
    bound = 1 - 0.05 ** (1 / trials)
    print(f"changes of one: {trials:,} trials, {misses} missed or misnamed (below {bound:.4%} at 95 % if none)")
    print(f"equal models: {models} in all, {alarms} alarms; there is no noise, so each counts for all its runs")


if __name__ == "__main__":
    main()
