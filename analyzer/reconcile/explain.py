"""Every difference between a peer and us, by operator and cause: pure functions on rows. No torch.

Module by module, the peer's figure for multiply-adds must be met by a hypothesis for each operator of ours there
(`hypotheses`): exact, skipped, with its bias, by a wrong formula. What the peer counts where we have none is its
convention. The causes and what remains unexplained always add up to the difference.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import NamedTuple

from analyzer.core.frozen import Frozen
from analyzer.reconcile.families import BATCH, PRODUCTS, family
from analyzer.reconcile.hypotheses import Kind, Option, Part, Term, options, solve
from analyzer.reconcile.opinion import Opinion, Peer, PeerRow
from analyzer.records.record import Row, prefixes


class Cause(Frozen):
    """One reason of one operator, in MACs: what the peer counts more, or with a minus less, than we do.

    `rows` is how often it was found: rows of ours, or of the peer's where we have no multiply-adds.
    """

    cause: Kind
    what: str
    op: str
    macs: int | float
    rows: int


class Unmet(Frozen):
    """A module where no hypothesis meets the peer's figure; `macs` is its difference from ours."""

    path: str
    op: str
    macs: int | float


class Explanation(Frozen):
    """A peer beside us. `macs` is its total by its own convention; half a MAC is one operation that is no product."""

    opinion: Opinion
    peer: Peer
    macs: int | float = 0
    difference: int | float = 0
    causes: tuple[Cause, ...] = ()
    unexplained: int | float = 0
    unmet: tuple[Unmet, ...] = ()


class _Met(NamedTuple):
    """What was found in one module: terms of the difference, and figures that nothing meets."""

    terms: list[Term]
    unmet: list[tuple[str, int]]


def explain(opinion: Opinion, peer: Peer, ours: Sequence[Row], *, batch: int = 1) -> Explanation:
    """The difference of one peer's total from ours, taken apart; `batch` is how many samples the pass had."""
    if opinion.status != "ok":
        return Explanation(opinion, peer)
    unit = peer.per_mac
    difference = opinion.total - unit * sum(row.macs for row in ours)
    first, terms = _once(opinion.rows)
    mine = _by_path(ours, Counter(row.path for row in opinion.rows if row.source and family(row.op) in PRODUCTS), batch)
    theirs: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for row in first:
        if _is_product(row, mine):
            theirs[row.path][row.op] += row.figure
        elif row.figure:
            what = "counts one sample" if row.op == BATCH else f"counts {family(row.op)}"
            terms.append(Term("convention", what, row.op, row.figure, 1))
    unmet = []
    for path, (parts, others) in _covered(mine, theirs).items():
        met = _module(parts, theirs.get(path, Counter()), others, unit)
        terms += met.terms
        unmet += [Unmet(path, op, in_macs(amount, unit)) for op, amount in met.unmet]
    return Explanation(
        opinion,
        peer,
        in_macs(opinion.total, unit),
        in_macs(difference, unit),
        _causes(terms, unit),
        in_macs(difference - sum(term.amount for term in terms), unit),
        tuple(sorted(unmet, key=lambda one: -abs(one.macs))),
    )


def in_macs(figure: int, per_mac: int) -> int | float:
    """A peer's figure in MACs, whole wherever it can be."""
    whole, rest = divmod(figure, per_mac)
    return figure / per_mac if rest else whole


def _once(rows: Sequence[PeerRow]) -> tuple[list[PeerRow], list[Term]]:
    """The peer's rows with each work once; what it reaches in several ways with equal figures, it counts again."""
    works: defaultdict[tuple[str, str], dict[str, int]] = defaultdict(dict)
    for row in rows:
        sources = works[row.path, row.op]
        sources[row.source] = sources.get(row.source, 0) + row.figure
    once, again = [], []
    for (path, op), sources in works.items():
        source, *further = sources
        once.append(PeerRow(path, op, sources[source], source))
        for other in further:
            if sources[other] == sources[source]:
                again.append(Term("counted twice", "counted twice", op, sources[other], 1))
            else:
                once.append(PeerRow(path, op, sources[other], other))
    return once, [term for term in again if term.amount]


def _by_path(ours: Sequence[Row], places: Mapping[str, int], batch: int) -> dict[str, tuple[list[Part], list[Row]]]:
    """Our rows by module: those with multiply-adds by operator, and the other operations.

    `places`: under how many parents the peer met a module.
    """
    products: defaultdict[str, defaultdict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
    others: defaultdict[str, list[Row]] = defaultdict(list)
    for row in ours:
        if row.macs:
            products[row.path][row.op].append(row)
        elif row.flops:
            others[row.path].append(row)
    return {
        path: ([Part(op, tuple(rows), places.get(path, 1), batch) for op, rows in products[path].items()], others[path])
        for path in {**products, **others}
    }


def _is_product(row: PeerRow, mine: Mapping[str, tuple[list[Part], list[Row]]]) -> bool:
    """Whether a figure stands for multiply-adds: by its operator, or where none is named by what we have there."""
    kind = family(row.op)
    return kind in PRODUCTS or (kind == "other" and row.op != BATCH and bool(mine.get(row.path, ([],))[0]))


def _whole(op: str) -> bool:
    """Whether a peer's row stands for a module with all that is in it, such as a whole multi-head attention."""
    return family(op) == "attention" and not op.startswith(("scaled_dot", "_scaled_dot"))


def _covered(
    mine: Mapping[str, tuple[list[Part], list[Row]]], theirs: Mapping[str, Counter[str]]
) -> dict[str, tuple[list[Part], list[Row]]]:
    """Our operators under the path at which the peer has its figure for them, which may be a module around them:
    one that it takes whole, or one that torch runs as a single operator."""
    covered: dict[str, tuple[list[Part], list[Row]]] = {path: ([], []) for path in theirs}
    wholes = {path for path, ops in theirs.items() if any(map(_whole, ops))}
    around = wholes | {path for path in theirs if not mine.get(path, ([],))[0]}
    for path, (parts, others) in mine.items():
        above = [prefix for prefix in ("", *prefixes(path)[:-1]) if prefix in around and prefix != path]
        into = above[-1] if above and path not in theirs else path
        have = covered.setdefault(into, ([], []))
        have[0].extend(parts)
        have[1].extend(others if into in wholes else ())
    return covered


def _module(parts: Sequence[Part], figures: Counter[str], others: Sequence[Row], unit: int) -> _Met:
    """One module's figures, met together or, where that fails, family by family."""
    kinds = {family(op) for op in figures}
    choices = [options(part, unit, named=family(part.op) in kinds) for part in parts]
    total = figures.total()
    # The same work may stand under other operators there, such as attention taken apart into two products.
    found = solve([*choices, *_others(others)], total)
    if found is not None:
        return _Met([term for option in found for term in option.terms], [])
    met = _Met([], [])
    both = kinds & {family(part.op) for part in parts}

    def group(op: str) -> str:
        return family(op) if family(op) in both else ""  # What has no counterpart is held together.

    for one in ["", *sorted(both)]:
        own = [(part, choice) for part, choice in zip(parts, choices, strict=True) if group(part.op) == one]
        named = {op: n for op, n in figures.items() if group(op) == one}
        figure = sum(named.values())
        solved = solve([choice for _, choice in own], figure)
        if solved is not None:
            met.terms.extend(term for option in solved for term in option.terms)
        else:
            ops = dict.fromkeys(part.op for part, _ in own) or named
            met.unmet.append((", ".join(ops), figure - unit * sum(part.macs for part, _ in own)))
    return met


def _others(rows: Sequence[Row]) -> Iterator[list[Option]]:
    """What a peer's figure for a whole module may hold besides products: one operation an element of each."""
    for row in rows:
        amount = prod(row.outputs[0]) if row.outputs else 0
        yield [
            Option(0, (), 0),
            Option(amount, (Term("convention", f"counts {family(row.op)}", row.op, amount, 1),), 1),
        ]


def _causes(terms: Sequence[Term], unit: int) -> tuple[Cause, ...]:
    """Terms of one cause and operator summed, the largest first."""
    amounts: Counter[tuple[Kind, str, str]] = Counter()
    rows: Counter[tuple[Kind, str, str]] = Counter()
    for term in terms:
        key = (term.cause, term.what, term.op)
        amounts[key] += term.amount
        rows[key] += term.rows
    causes = [Cause(*key, in_macs(amount, unit), rows[key]) for key, amount in amounts.items() if amount]
    return tuple(sorted(causes, key=lambda one: -abs(one.macs)))
