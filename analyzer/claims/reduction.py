"""Claims about the 1x1 reduction: what one branch, one module and the whole network save by it.

The paper's network is compared with `googlenet-no-reduction`, which has the same widths and no 1x1 before 3x3 and 5x5.
A saving is multiply-adds without the reduction ÷ multiply-adds with it, including those of the 1x1.
"""

from __future__ import annotations

from analyzer.claims.claim import NOTE, PAPER, Claim, Printed, Verdict, confirmed_if, module_totals
from analyzer.core.units import scaled, times
from analyzer.counting.api import count
from analyzer.networks.spec import Conv
from analyzer.networks.variants import variant
from analyzer.networks.walk import Step, walk
from analyzer.records.comparison import TOTAL
from analyzer.records.record import Record, unknown_module_error

REDUCED, UNREDUCED = "googlenet", "googlenet-no-reduction"
BRANCH = "inception_4a.branch_5x5"
CLAIMED = Printed("21.4")


def branch_without() -> Claim:
    conv = _step(UNREDUCED, f"{BRANCH}.conv")
    macs = module_totals(count(UNREDUCED), BRANCH).macs
    return Claim(
        id="5x5-branch-without-1x1",
        claim="Without a 1x1 before it, the 5x5 convolution of inception 4a takes (14 × 14 × 48) × (5 × 5 × 480) = "
        "112.9M operations.",
        source=f"{NOTE}, section 3.1",
        operands=_operands(conv),
        computed=macs,
        verdict=confirmed_if(Printed("112.9", 10**6).is_exact(macs)),
        condition="The operations are multiply-adds.",
        summary=f"{macs:,} MACs",
        formula=f"{_product(conv)} = {macs:,}",
    )


def branch_with() -> Claim:
    record = count(REDUCED)
    reduce, conv = (_step(REDUCED, f"{BRANCH}.{name}") for name in ("reduce.conv", "conv"))
    reduce_macs, conv_macs = (module_totals(record, step.path).macs for step in (reduce, conv))
    macs, width = module_totals(record, BRANCH).macs, reduce.output[1]
    return Claim(
        id="5x5-branch-with-1x1",
        claim="With a 1x1 before it, the 5x5 branch of inception 4a takes 5.3M operations in total.",
        source=f"{NOTE}, section 3.1",
        operands={
            **_operands(conv),
            "in_channels": reduce.inputs[0][1],
            "reduced_channels": width,
            "reduce_macs": reduce_macs,
            "conv_macs": conv_macs,
        },
        computed=macs,
        verdict=confirmed_if(Printed("5.3", 10**6).is_exact(macs)),
        condition=f"{reduce_macs:,} multiply-adds of the 1x1 and {conv_macs:,} of the 5x5. The {width} channels "
        "between them are from Table 1; the note's text does not give them.",
        summary=f"{macs:,} MACs",
        formula=f"{_product(reduce)} + {_product(conv)} = {macs:,}",
    )


def branch_saving() -> Claim:
    return saving(BRANCH).replace(
        claim="The 1x1 reduction makes the 5x5 branch of inception 4a 21.4 times cheaper, 5.3M operations for 112.9M."
    )


def saving_of_network() -> Claim:
    return saving(TOTAL).replace(id="21.4x-whole-network", source=f"inferred from {NOTE}, section 3.1")


def saving_everywhere() -> Claim:
    reduced, unreduced = count(REDUCED), count(UNREDUCED)
    names = [
        module.path for module in reduced.modules if module.path.startswith("inception_") and "." not in module.path
    ]
    suffixes = {"module": "", "branch_3x3": ".branch_3x3", "branch_5x5": ".branch_5x5"}
    savings = {
        name: {label: _ratio(reduced, unreduced, name + suffix) for label, suffix in suffixes.items()} for name in names
    }
    ranges = {}
    for label in suffixes:
        others = [ratios[label] for name, ratios in savings.items() if f"{name}.{label}" != BRANCH]
        ranges[label] = f"{times(min(others))} to {times(max(others))}"
    return Claim(
        id="21.4x-in-every-module",
        claim="The 1x1 reduction makes the 5x5 branch of every inception module 21.4 times cheaper.",
        source=f"inferred from {NOTE}, section 3.1",
        operands={"modules": len(names)},
        computed=savings,
        verdict=confirmed_if(all(CLAIMED.is_exact(ratios["branch_5x5"]) for ratios in savings.values())),
        condition=f"Only inception 4a saves {times(savings['inception_4a']['branch_5x5'])}. The other 5x5 branches "
        f"save {ranges['branch_5x5']}, the 3x3 branches {ranges['branch_3x3']}, whole modules {ranges['module']}.",
        summary=f"5x5 elsewhere {ranges['branch_5x5']}",
    )


def saving(module: str = TOTAL) -> Claim:
    """Whether the 1x1 reduction makes `module` (a path or role of googlenet; `total` is the network) 21.4× cheaper.

    Confirmed for inception_4a.branch_5x5; confirmed under a condition for inception_4a, which as a module saves less;
    not reproduced for all others. Raises AnalyzerError for a module that googlenet does not have.
    """
    reduced, unreduced = count(REDUCED), count(UNREDUCED)
    names = {name for known in reduced.modules for name in (known.path, known.role)}
    if module not in {TOTAL, *names}:
        raise unknown_module_error(module, [reduced])
    before, after = _macs(unreduced, module), _macs(reduced, module)
    branches = {
        name: _ratio(reduced, unreduced, f"{module}.{name}")
        for name in ("branch_3x3", "branch_5x5")
        if f"{module}.{name}" in names
    }
    ratio = before / after if before and after else None
    verdict, condition = _verdict(module, before, after, branches)
    return Claim(
        id="5x5-branch-21.4x",
        claim=f"The 1x1 reduction makes {'the whole network' if module == TOTAL else module} 21.4 times cheaper.",
        source=f"{NOTE}, section 3.1",
        operands={"macs_without_reduction": before, "macs_with_reduction": after},
        computed={"ratio": ratio, **branches},
        verdict=verdict,
        condition=condition,
        summary=times(ratio) if ratio else "no multiply-adds to save",
        formula=f"{before:,} ÷ {after:,} = {ratio:.2f}" if ratio else "",
    )


def _verdict(module: str, before: int, after: int, branches: dict[str, float]) -> tuple[Verdict, str]:
    """The verdict on 21.4× for one module, and its condition."""
    if not (before and after):
        networks = "only with the reduction" if after else "in neither network"
        return "not reproduced", f"{module} has multiply-adds {networks}."
    macs = f"{before:,} multiply-adds in {UNREDUCED}, {after:,} in {REDUCED}: {times(before / after)}"
    if branches and CLAIMED.is_exact(branches["branch_5x5"]):
        return "confirmed under a condition", (
            f"Only its 5x5 branch saves {times(branches['branch_5x5'])}; the 3x3 branch saves "
            f"{times(branches['branch_3x3'])} and the whole module {times(before / after)}."
        )
    if branches:
        return "not reproduced", (
            f"{macs}. Its 3x3 branch saves {times(branches['branch_3x3'])}, its 5x5 branch "
            f"{times(branches['branch_5x5'])}; {BRANCH} saves 21.4×."
        )
    if module == BRANCH:
        return confirmed_if(CLAIMED.is_exact(before / after)), f"{macs}. This holds for no other branch."
    if before == after:
        return "not reproduced", f"{after:,} multiply-adds with and without: {module} has no reduction."
    if ".branch_" in module and module.count(".") > 1:
        macs += ", without the 1x1 before it"
    return "not reproduced", f"{macs}. {BRANCH} saves 21.4×."


def modules_affordable() -> Claim:
    google, unreduced, naive = count(REDUCED).totals, count(UNREDUCED).totals, count("googlenet-naive").totals
    return Claim(
        id="1x1-lowers-compute",
        claim="1x1 reductions make inception modules affordable.",
        source=f"{NOTE}, sections 3.1 and 3.2; {PAPER}, section 4",
        operands={"googlenet_params": google.params},
        computed={
            "no_3x3_5x5_reduce_macs": unreduced.macs,
            "naive_macs": naive.macs,
            "naive_params": naive.params,
            "googlenet_macs": google.macs,
        },
        verdict=confirmed_if(google.macs < unreduced.macs < naive.macs and google.params < naive.params),
        condition=f"{scaled(google.macs)} multiply-adds become {scaled(unreduced.macs)} "
        f"({times(unreduced.macs / google.macs)}) without the 1x1s before 3x3 and 5x5, and {scaled(naive.macs)} "
        f"({times(naive.macs / google.macs)}, params {times(naive.params / google.params)}) without any 1x1, as in "
        "Figure 2a.",
        summary=f"{times(unreduced.macs / google.macs)} and {times(naive.macs / google.macs)} without",
        formula=f"{unreduced.macs:,} ÷ {google.macs:,} = {unreduced.macs / google.macs:.2f}",
    )


def _macs(record: Record, module: str) -> int:
    return record.totals.macs if module == TOTAL else module_totals(record, module).macs


def _ratio(reduced: Record, unreduced: Record, module: str) -> float:
    return _macs(unreduced, module) / _macs(reduced, module)


def _step(name: str, path: str) -> Step:
    return next(step for step in walk(variant(name).network) if step.path == path)


def _operands(step: Step) -> dict[str, int]:
    """The numbers in a convolution's formula: height · width · filters outputs, each a sum of kernel² · in_channels."""
    assert isinstance(step.layer, Conv)
    _, filters, height, width = step.output
    return {
        "height": height,
        "width": width,
        "filters": filters,
        "kernel": step.layer.kernel,
        "in_channels": step.inputs[0][1],
    }


def _product(step: Step) -> str:
    """A convolution's multiply-adds as a product: `(14 · 14 · 48) · (5 · 5 · 480)`."""
    size = _operands(step)
    outputs = f"({size['height']} · {size['width']} · {size['filters']})"
    if size["kernel"] == 1:
        return f"{outputs} · {size['in_channels']}"
    return f"{outputs} · ({size['kernel']} · {size['kernel']} · {size['in_channels']})"
