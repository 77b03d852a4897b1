"""The job of `analyze llm`."""

from __future__ import annotations

import os
from pathlib import Path

from analyzer.cli.messages import print_message
from analyzer.cli.output import emit, spinner
from analyzer.core.errors import AnalyzerError, one_line, quoted
from analyzer.records.training import TrainingSetup

LENGTHS = 7  # Of the curves on a page.


def show_language_model(
    reference: str,
    *,
    batch: int,
    prompt: int,
    decode: int,
    dtype: str | None,
    device: str | None,
    devices: int,
    groups: int,
    cache_dtype: str | None,
    cache_group: int | None,
    tokens_per_s: float | None,
    setup: TrainingSetup | None,
    timeout_s: float | None,
    form: str,
    output: str | None,
) -> int:
    """Raises AnalyzerError for bad input, CannotMeasure for a model that cannot be counted."""
    from analyzer.language_models.prefill_and_decode import CACHE_GROUP, GROUPED, TYPES, count_language_model
    from analyzer.language_models.time_bounds import Parallel, device_for
    from analyzer.timing.peaks.published import device as find_device
    from reports import language_models as report

    for option, number in (("--tp", devices), ("--ep", groups)):
        if number > 1 and device is None:
            raise AnalyzerError(f"{option} splits the model over devices; give --device too")
    if tokens_per_s is not None and device is None:
        raise AnalyzerError("--tokens-per-s needs the peak of a --device")
    if cache_group and cache_dtype not in GROUPED:
        raise AnalyzerError(f"--cache-group is for {' and '.join(GROUPED)}; give --cache-dtype too")
    reference = _reference(reference)
    published = find_device(device) if device else None
    if published and dtype:
        device_for(published, dtype)  # Before the work.
    with spinner("building and counting", when=True):
        model = count_language_model(
            reference, batch=batch, prompt=prompt, decode=decode, dtype=dtype, cache_dtype=cache_dtype,
            cache_group=cache_group or CACHE_GROUP, curve=_lengths(prompt + decode) if form == "html" else (),
            setup=setup, limit_s=timeout_s,
        )  # fmt: skip
    architecture = model.architecture
    if groups > max(architecture.experts, 1):
        has = f"{architecture.experts} experts" if architecture.experts else "no experts"
        raise AnalyzerError(f"--ep {groups} divides experts, but {one_line(reference)} has {has}")
    if architecture.dtype not in TYPES and published:
        raise AnalyzerError(f"no peak for {one_line(architecture.dtype)}; give --dtype")
    if architecture.positions and prompt + decode > architecture.positions:
        print_message(
            f"{one_line(reference)}: {prompt + decode:,} tokens are more than the {architecture.positions:,} positions "
            "of its configuration"
        )
    setting = report.Setting(
        device_for(published, architecture.dtype) if published else None, Parallel(devices, groups), tokens_per_s
    )

    def page() -> str:
        from reports.page.sections import language_model
        from reports.page.write import html

        return html(language_model.page(model, setting))

    emit(
        form, output, lambda: report.tables(model, setting), untrusted=True, json=lambda: report.dump(model, setting),
        html=page,
    )  # fmt: skip
    return 0


def _reference(text: str) -> str:
    """`hf:FOLDER` for a folder with a config.json, or for that file. Raises AnalyzerError for a name without `hf:`."""
    path = Path(text)
    folder = path.parent if path.name == "config.json" else path
    if os.path.isfile(folder / "config.json"):  # noqa: PTH113 – `Path.is_file` raises for a long name
        return f"hf:{folder}"
    if ":" not in text and path.suffix not in (".py", ".pt2"):
        raise AnalyzerError(
            f"no language model {quoted(text)}; give hf:NAME, a folder with a config.json, or FILE.py:NAME"
        )
    return text


def _lengths(tokens: int) -> tuple[int, ...]:
    """Powers of two up to the first that is at least as long."""
    highest = max((tokens - 1).bit_length(), 1)
    return tuple(1 << power for power in range(max(highest - LENGTHS + 1, 0), highest + 1))
