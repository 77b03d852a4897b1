"""The section Claims, as cards: claim, operands, formula, result and verdict; and the paper's Table 1."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from analyzer.claims import Claim, ledger, table1
from reports import claims as tables
from reports.page.context import Block, ClaimCard, Claims, Section
from reports.page.network_views import NetworkView
from reports.page.sections.reduction import has_inception_modules

TONES = {"confirmed": "good", "confirmed under a condition": "warn", "not reproduced": "bad"}


def section(networks: Sequence[NetworkView]) -> Section:
    if not has_inception_modules(networks):
        return Section("claims", "Claims", "Claims", "", ())
    claims = ledger()
    verdicts = ", ".join(f"{count} {verdict}" for verdict, count in Counter(claim.verdict for claim in claims).items())
    blocks: list[Block] = [Claims(tuple(map(card, claims)))]
    blocks += [
        table.replace(id=f"table1-{index}", tools=("csv",))
        for index, table in enumerate(tables.table1(table1.rows(), table1.totals()))
    ]
    lead = f"Claims of the paper and of a study note, with verdicts from counts: {verdicts}."
    return Section("claims", "Claims and their verdicts", "Claims", lead, tuple(blocks))


def card(claim: Claim) -> ClaimCard:
    operands = tuple((name.replace("_", " "), tables.number(value)) for name, value in claim.operands.items())
    return ClaimCard(claim, TONES.get(claim.verdict, ""), operands)
