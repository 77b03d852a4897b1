"""The job of `analyze llm`."""

from __future__ import annotations

from analyzer.cli.messages import print_message
from analyzer.cli.output import emit, spinner
from analyzer.core.errors import AnalyzerError, one_line


def show_language_model(
    reference: str,
    *,
    batch: int,
    prompt: int,
    decode: int,
    dtype: str | None,
    device: str | None,
    devices: int,
    tokens_per_s: float | None,
    timeout_s: float | None,
    form: str,
    output: str | None,
) -> int:
    """Raises AnalyzerError for bad input, CannotMeasure for a model that cannot be counted."""
    from analyzer.language_models.model import TYPES, count_language_model
    from analyzer.language_models.serving import device_for
    from analyzer.timing.machine.devices import device as find_device
    from reports import language_models as report

    if devices > 1 and device is None:
        raise AnalyzerError("--tp splits the model over devices; give --device too")
    if tokens_per_s is not None and device is None:
        raise AnalyzerError("--tokens-per-s needs the peak of a --device")
    published = find_device(device) if device else None
    if published and dtype:
        device_for(published, dtype)  # Before the work.
    with spinner("building and counting", when=True):
        model = count_language_model(
            reference, batch=batch, prompt=prompt, decode=decode, dtype=dtype, limit_s=timeout_s
        )
    architecture = model.architecture
    if architecture.dtype not in TYPES and published:
        raise AnalyzerError(f"no peak for {one_line(architecture.dtype)}; give --dtype")
    if architecture.positions and prompt + decode > architecture.positions:
        print_message(
            f"{one_line(reference)}: {prompt + decode:,} tokens are more than the {architecture.positions:,} positions "
            "of its configuration"
        )
    setting = report.Setting(device_for(published, architecture.dtype) if published else None, devices, tokens_per_s)
    emit(form, output, lambda: report.tables(model, setting), untrusted=True, json=lambda: report.dump(model, setting))
    return 0
