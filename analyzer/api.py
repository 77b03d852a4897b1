"""`analyzer.count` and `analyzer.compare`: the main job from Python."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from analyzer.counting import closed_form
from analyzer.models import Variant, variant
from analyzer.networks.walk import Mode, walk
from analyzer.record import Record

if TYPE_CHECKING:
    from analyzer.comparison import Comparison
    from analyzer.networks.override import Overrides
    from analyzer.networks.spec import Shape

Counter: TypeAlias = Literal["closed_form", "dispatch"]


def count(
    name: str,
    *,
    input: Shape | None = None,
    batch: int = 1,
    train: bool = False,
    overrides: Overrides | None = None,
    counter: Counter = "closed_form",
    verify: bool = False,
) -> Record:
    """Counts a named network. `input` is (channels, height, width); None is the network's own.

    `counter="dispatch"` counts what runs when the network is built in torch; `verify` holds three counters against
    each other and puts their agreement in the record. Raises AnalyzerError for a name or an input that does not fit.

    >>> record = count("googlenet")
    >>> record.totals.params, record.totals.macs
    (6998552, 1582671872)
    >>> count("googlenet", overrides={"inception_4a.reduce_5x5": 32}).totals.macs - record.totals.macs
    5268480
    """
    return count_variant(
        variant(name, overrides), input=input, batch=batch, train=train, counter=counter, verify=verify
    )


def compare(*names: str, input: Shape | None = None, batch: int = 1, train: bool = False) -> Comparison:
    """Counts named networks and sets them side by side, each against the first.

    >>> totals = compare("googlenet", "alexnet").totals
    >>> f"{totals['params'].ratio:.2f} {totals['macs'].ratio:.3f}"
    '8.71 0.458'
    """
    from analyzer.comparison import compare_records

    return compare_records([count(name, input=input, batch=batch, train=train) for name in names])


def count_variant(
    chosen: Variant,
    *,
    input: Shape | None = None,
    batch: int = 1,
    train: bool = False,
    counter: Counter = "closed_form",
    verify: bool = False,
) -> Record:
    """The record of one variant; see `count`."""
    mode: Mode = "training" if train else "inference"
    steps = walk(chosen.network, input, batch=batch, mode=mode)
    counted = closed_form.count(steps, mode)
    agreement = None
    if counter == "dispatch" or verify:
        from analyzer.counting import verification

        agreement = verification.verify(chosen.network, steps, counted, train=train) if verify else None
        if counter == "dispatch":
            counted = verification.dispatched(chosen.network, steps, train=train)
    return Record(
        model=chosen.network.name,
        input=(steps[0].inputs[0],),
        mode=mode,
        count=counted,
        overrides=chosen.overrides,
        agreement=agreement,
    )
