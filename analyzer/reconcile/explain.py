"""Attributes a peer's difference from macscope's count to causes, by module and operator: pure functions on rows.

In each module, the peer's figure for MACs must be reproduced by one hypothesis per operator (`hypotheses`): exact,
skipped, with its bias, by a wrong formula. Operators that the peer counts and we do not are its convention. The causes
and the unexplained rest always add up to the difference.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import NamedTuple, TypeAlias

from analyzer.core.frozen import Frozen
from analyzer.reconcile.families import BATCH, PRODUCTS, family
from analyzer.reconcile.hypotheses import CauseKind, Hypothesis, OperatorRows, Term, hypotheses, solve
from analyzer.reconcile.peers import Peer, PeerResult, PeerRow
from analyzer.records.rows import Row, prefixes


class Cause(Frozen):
    """One cause for one operator: `macs` is how much more (negative: less) the peer counts than macscope.

    `rows` is the number of rows concerned: macscope's rows, or the peer's if macscope has no MACs there.
    """

    cause: CauseKind
    what: str
    op: str
    macs: int | float
    rows: int


class Unexplained(Frozen):
    """A module where no hypothesis reproduces the peer's figure; `macs` is the difference from macscope's."""

    path: str
    op: str
    macs: int | float


class Explanation(Frozen):
    """A peer compared with macscope; all figures in MACs.

    `macs` is the peer's total by its own convention. A peer that counts FLOPs may have half MACs: one operation that
    is not a multiply-add.
    """

    result: PeerResult
    peer: Peer
    macs: int | float = 0
    difference: int | float = 0
    causes: tuple[Cause, ...] = ()
    unexplained: int | float = 0
    unexplained_modules: tuple[Unexplained, ...] = ()


class _ModuleRows(NamedTuple):
    """macscope's rows of one module: rows with MACs by operator, and rows with other FLOPs only."""

    products: list[OperatorRows]
    others: list[Row]


_Modules: TypeAlias = dict[str, _ModuleRows]  # By path.


def explain(result: PeerResult, peer: Peer, rows: Sequence[Row], *, batch: int = 1) -> Explanation:
    """Explains the difference between a peer's total and the total of macscope's `rows`; `batch` is the batch size of
    the pass."""
    if result.status != "ok":
        return Explanation(result, peer)
    unit = peer.per_mac
    difference = result.total - unit * sum(row.macs for row in rows)
    peer_rows, terms = _remove_repeats(result.rows)
    parents = Counter(row.path for row in result.rows if row.source and family(row.op) in PRODUCTS)
    modules = _by_module(rows, parents, batch)
    figures: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for row in peer_rows:
        if _is_product(row, modules):
            figures[row.path][row.op] += row.figure
        elif row.figure:
            what = "counts one sample" if row.op == BATCH else f"counts {family(row.op)}"
            terms.append(Term("convention", what, row.op, row.figure, 1))
    unexplained = []
    for path, module in _align(modules, figures).items():
        module_terms, differences = _explain_module(module, figures.get(path, Counter()), unit)
        terms += module_terms
        unexplained += [Unexplained(path, ops, in_macs(amount, unit)) for ops, amount in differences]
    return Explanation(
        result,
        peer,
        in_macs(result.total, unit),
        in_macs(difference, unit),
        _causes(terms, unit),
        in_macs(difference - sum(term.amount for term in terms), unit),
        tuple(sorted(unexplained, key=lambda module: -abs(module.macs))),
    )


def in_macs(figure: int, per_mac: int) -> int | float:
    """A peer's figure in MACs: an int where it divides evenly."""
    whole, rest = divmod(figure, per_mac)
    return figure / per_mac if rest else whole


def _remove_repeats(rows: Sequence[PeerRow]) -> tuple[list[PeerRow], list[Term]]:
    """The peer's rows without repeats, and the repeats as terms: equal figures for one operator from other sources."""
    by_operator: defaultdict[tuple[str, str], dict[str, int]] = defaultdict(dict)
    for row in rows:
        sources = by_operator[row.path, row.op]
        sources[row.source] = sources.get(row.source, 0) + row.figure
    distinct, repeats = [], []
    for (path, op), sources in by_operator.items():
        first = next(iter(sources))
        for source, figure in sources.items():
            if source == first or figure != sources[first]:
                distinct.append(PeerRow(path, op, figure, source))
            elif figure:
                repeats.append(Term("counted twice", "counted twice", op, figure, 1))
    return distinct, repeats


def _by_module(rows: Sequence[Row], parents: Mapping[str, int], batch: int) -> _Modules:
    """Our rows by module; `parents` is the number of parents under which the peer met a module."""
    products: defaultdict[str, defaultdict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
    others: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if row.macs:
            products[row.path][row.op].append(row)
        elif row.flops:
            others[row.path].append(row)
    return {
        path: _ModuleRows(
            [OperatorRows(op, tuple(rows), parents.get(path, 1), batch) for op, rows in products[path].items()],
            others[path],
        )
        for path in {**products, **others}
    }


def _has_products(path: str, modules: _Modules) -> bool:
    return path in modules and bool(modules[path].products)


def _is_product(row: PeerRow, modules: _Modules) -> bool:
    """Whether a figure counts MACs: by its operator's family or, if that is unknown, by our rows of its module."""
    kind = family(row.op)
    return kind in PRODUCTS or (kind == "other" and row.op != BATCH and _has_products(row.path, modules))


def _is_whole_module(op: str) -> bool:
    """Whether a peer's row covers a module with its children, such as a whole multi-head attention."""
    return family(op) == "attention" and not op.startswith(("scaled_dot", "_scaled_dot"))


def _align(modules: _Modules, figures: Mapping[str, Counter[str]]) -> _Modules:
    """Our rows under the path of the peer's figure for them.

    That may be an enclosing module which the peer counts as a whole, or which torch runs as a single operator.
    """
    aligned = {path: _ModuleRows([], []) for path in figures}
    wholes = {path for path, ops in figures.items() if any(map(_is_whole_module, ops))}
    enclosing = wholes | {path for path in figures if not _has_products(path, modules)}
    for path, module in modules.items():
        above = [prefix for prefix in ("", *prefixes(path)[:-1]) if prefix in enclosing and prefix != path]
        target_path = above[-1] if above and path not in figures else path
        target = aligned.setdefault(target_path, _ModuleRows([], []))
        target.products.extend(module.products)
        target.others.extend(module.others if target_path in wholes else ())
    return aligned


def _explain_module(module: _ModuleRows, figures: Counter[str], unit: int) -> tuple[list[Term], list[tuple[str, int]]]:
    """The terms that reproduce a module's figures, together or else family by family, and (operators, difference)
    of the families that none reproduces."""
    peer_families = {family(op) for op in figures}
    choices = [hypotheses(rows, unit, named=family(rows.op) in peer_families) for rows in module.products]
    # First all families together: a peer may name the same work otherwise, such as attention as two products.
    solution = solve([*choices, *_other_operations(module.others)], figures.total())
    if solution is not None:
        return [term for hypothesis in solution for term in hypothesis.terms], []
    shared = peer_families & {family(rows.op) for rows in module.products}

    def group(op: str) -> str:
        return family(op) if family(op) in shared else ""  # Families without a counterpart are matched together.

    terms: list[Term] = []
    unexplained = []
    for name in ["", *sorted(shared)]:
        members = [
            (rows, choice) for rows, choice in zip(module.products, choices, strict=True) if group(rows.op) == name
        ]
        peer_ops = {op: figure for op, figure in figures.items() if group(op) == name}
        figure = sum(peer_ops.values())
        solution = solve([choice for _, choice in members], figure)
        if solution is not None:
            terms += [term for hypothesis in solution for term in hypothesis.terms]
        else:
            ops = dict.fromkeys(rows.op for rows, _ in members) or peer_ops
            unexplained.append((", ".join(ops), figure - unit * sum(rows.macs for rows, _ in members)))
    return terms, unexplained


def _other_operations(rows: Sequence[Row]) -> Iterator[list[Hypothesis]]:
    """A peer's figure for a whole module may include other operations: one per output element of each row."""
    for row in rows:
        amount = prod(row.outputs[0]) if row.outputs else 0
        term = Term("convention", f"counts {family(row.op)}", row.op, amount, 1)
        yield [Hypothesis(0, (), 0), Hypothesis(amount, (term,), 1)]


def _causes(terms: Sequence[Term], unit: int) -> tuple[Cause, ...]:
    """The terms summed by cause and operator, the largest first."""
    sums: defaultdict[tuple[CauseKind, str, str], list[int]] = defaultdict(lambda: [0, 0])
    for term in terms:
        total = sums[term.cause, term.what, term.op]
        total[0] += term.amount
        total[1] += term.rows
    causes = [Cause(*key, in_macs(amount, unit), rows) for key, (amount, rows) in sums.items() if amount]
    return tuple(sorted(causes, key=lambda cause: -abs(cause.macs)))
