"""Claims as cards: what was said, the numbers that go in, the formula, what comes out, the verdict."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from analyzer.claims import Claim, ledger, table1
from analyzer.core.units import percent
from reports import claims as tables
from reports.page.context import Block, ClaimCard, Claims, Section
from reports.page.network_views import NetworkView
from reports.page.sections.story import has_inception_modules

TONES = {"confirmed": "good", "confirmed under a condition": "warn", "not reproduced": "bad"}


def section(subjects: Sequence[NetworkView]) -> Section:
    if not has_inception_modules(subjects):
        lead = "The claims are about GoogLeNet; add --variant googlenet, or ask analyze claims."
        return Section("claims", "Claims", "Claims", lead, ())
    found = ledger()
    counts = {
        verdict: sum(1 for one in found if one.verdict == verdict)
        for verdict in dict.fromkeys(one.verdict for one in found)
    }
    said = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
    blocks: list[Block] = [Claims(tuple(map(card, found)))]
    blocks += [
        table.replace(id=f"table1-{index}", tools=("csv",))
        for index, table in enumerate(tables.table1(table1.rows(), table1.totals()))
    ]
    lead = f"What the paper and a study note say in numbers, counted anew: {said}."
    return Section("claims", "Claims, and what counting says", "Claims", lead, tuple(blocks))


def card(claim: Claim) -> ClaimCard:
    formula = FORMULAS.get(claim.id)
    return ClaimCard(
        id=claim.id,
        claim=claim.claim,
        source=claim.source,
        verdict=claim.verdict,
        tone=TONES.get(claim.verdict, ""),
        figure=claim.figure,
        formula=formula(claim.operands, claim.computed) if formula else "",
        operands=tuple((name.replace("_", " "), tables.number(value)) for name, value in claim.operands.items()),
        condition=claim.condition,
    )


Formula = Callable[[Mapping[str, Any], Any], str]


def _without(n: Mapping[str, Any], computed: Any) -> str:
    size, kernel = f"{n['height']} · {n['width']}", f"{n['kernel']} · {n['kernel']}"
    return f"({size} · {n['filters']}) · ({kernel} · {n['in_channels']}) = {computed:,}"


def _within(n: Mapping[str, Any], computed: Any) -> str:
    size, kernel = f"{n['height']} · {n['width']}", f"{n['kernel']} · {n['kernel']}"
    return (
        f"({size} · {n['reduced_channels']}) · {n['in_channels']} + ({size} · {n['filters']}) · ({kernel} · "
        f"{n['reduced_channels']}) = {computed:,}"
    )


def _saving(n: Mapping[str, Any], computed: Any) -> str:
    return f"{n['macs_without_reduction']:,} ÷ {n['macs_with_reduction']:,} = {computed['ratio']:.2f}"


FORMULAS: Mapping[str, Formula] = {
    "5x5-branch-without-1x1": _without,
    "5x5-branch-with-1x1": _within,
    "5x5-branch-21.4x": _saving,
    "21.4x-whole-network": _saving,
    "12x-fewer-params": lambda n, c: f"{c['alexnet_caffe']:,} ÷ {c['googlenet_caffe']:,} = {c['ratio']:.2f}",
    "1.5-billion-budget": lambda n, c: (
        f"{c['dense_stem']:,} − {n['dense_conv1_macs']:,} + {n['separable_conv1_macs']:,} = {c['separable_stem']:,}"
    ),
    "flops-vs-alexnet": lambda n, c: (
        f"{n['googlenet_macs']:,} ÷ {n['alexnet_macs']:,} = {c['googlenet_over_alexnet_macs']:.2f}"
    ),
    "gap-top1": lambda n, c: f"7 · 7 · 1024 · 1024 = {c['7x7x1024_to_1024_weights']:,}",
    "aux-removed": lambda n, c: (
        f"{c['params_train']:,} − {' − '.join(f'{own:,}' for own in n.values())} = {c['params_deploy']:,}"
    ),
    "fc-params-alexnet": lambda n, c: (
        f"({n['fc6_params']:,} + {n['fc7_params']:,} + {n['fc8_params']:,}) ÷ {n['alexnet_params']:,} = "
        f"{percent(c['share'])}"
    ),
    "1x1-lowers-compute": lambda n, c: (
        f"{c['no_3x3_5x5_reduce_macs']:,} ÷ {c['googlenet_macs']:,} = "
        f"{c['no_3x3_5x5_reduce_macs'] / c['googlenet_macs']:.2f}"
    ),
}
