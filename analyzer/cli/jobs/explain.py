"""The job of `analyze explain`."""

from __future__ import annotations

from analyzer.cli.output import emit, spinner
from analyzer.cli.selection import Selection
from analyzer.core.errors import AnalyzerError
from analyzer.records.record import restrict, unknown_module_error
from analyzer.scaling.derivation import IN_TRAINING


def explain_number(selection: Selection, *, module: str | None, metric: str, form: str, output: str | None) -> int:
    """Raises AnalyzerError for an unknown module, and if the model is not one."""
    selection.require_models("explain")
    if len(selection.variants) + len(selection.references) > 1:
        raise AnalyzerError("analyze explain takes one model and one module; run it once for each model")
    if metric in IN_TRAINING and not selection.training:
        raise AnalyzerError(f"{metric} is counted in training only; add --train")
    memory = metric == "peak_memory"
    with spinner("building and counting", when=bool(selection.references) or (memory and selection.training)):
        (record,), errors = selection.count(memory=memory)
    if record is None:
        raise errors[0]
    if module is not None:
        restricted = restrict(record, module)
        if not restricted.rows:
            raise unknown_module_error(module, [record])
        record = restricted
    from reports import explain

    shown = record
    emit(form, output, lambda: [explain.table(shown, metric)], untrusted=True, json=lambda: explain.dump(shown, metric))
    return 0
