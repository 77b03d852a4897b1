"""Counts every default configuration of transformers, each in a forked process with a limit on time and memory.

`python -m benchmarks.transformers RESULTS.jsonl` continues an interrupted run; `make zoo` puts the figures on its page.
"""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import statistics
import time
import warnings
from collections import Counter
from collections.abc import Iterable
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.common import append_line, load_lines, parse_options

TIME_LIMIT_S = 60
MAX_REASON = 240  # Characters.
MEMORY_LIMIT = 14 << 30  # Bytes of address space.

Result = dict[str, Any]


def configurations() -> list[str]:
    """The names for which transformers has a model."""
    from transformers.models.auto.modeling_auto import MODEL_MAPPING_NAMES

    return sorted(MODEL_MAPPING_NAMES)


def count(name: str) -> Result:
    """The count of one configuration as a dict, in this process."""
    from analyzer.counting.api import count_reference

    try:
        record = count_reference(f"hf:{name}")
    except Exception as error:
        return {"name": name, "error": f"{type(error).__name__}: {error}"[:2000]}
    unused = sum(row.params for row in record.rows if row.op == "unused")
    totals = record.totals
    return {"name": name, "macs": totals.macs, "params": totals.params, "unused": unused, "notes": list(record.notes)}


def count_in_a_fork(name: str) -> Result:
    """Like `count`, in a fork of this process, which has imported the libraries."""
    reader, writer = os.pipe()
    start_s = time.perf_counter()
    process = os.fork()
    if process == 0:
        os.close(reader)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT, MEMORY_LIMIT))
        signal.alarm(TIME_LIMIT_S)
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, 1)
        os.dup2(nothing, 2)
        os.write(writer, json.dumps(count(name)).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        text = pipe.read()
    _, status = os.waitpid(process, 0)
    result: Result = json.loads(text) if text else {"name": name, "error": _end(status)}
    return result | {"seconds": round(time.perf_counter() - start_s, 2)}


def _end(status: int) -> str:
    ended_by = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
    if ended_by == signal.SIGALRM:
        return f"took more than {TIME_LIMIT_S} s"
    return f"ended by signal {ended_by}" if ended_by else f"ended with exit status {os.waitstatus_to_exitcode(status)}"


def survey(path: Path) -> list[Result]:
    """The results of all configurations; those in the file are not counted again."""
    import torch
    import transformers

    for module in ("analyzer.counting.execution.count_any_model", "analyzer.models.references"):
        import_module(module)  # Once, before the forks.

    os.environ["HF_HUB_OFFLINE"] = "1"
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    results = load_lines(path)
    done = {result["name"] for result in results}
    for name in configurations():
        if name not in done:
            results.append(count_in_a_fork(name))
            append_line(path, results[-1])
    return results


def section(results: list[Result]) -> Iterable[str]:
    """The section of the page: how many were counted and how, and why the others were not."""
    counted = [result for result in results if "macs" in result]
    failed = [result for result in results if "macs" not in result]
    not_built = [result for result in failed if f"hf:{result['name']} raised" in result["error"]]
    partial = [result for result in counted if result["unused"] > 0.01 * result["params"]]
    places = Counter(_place(result) for result in counted)
    yield "\n## transformers\n"
    yield (
        f"transformers {version('transformers')} has {len(results)} default configurations with a model; "
        f"{len(results) - len(not_built)} of them build and {len(counted)} were counted: "
        + ", ".join(f"{number} {place}" for place, number in places.most_common())
        + f". {len(partial)} leave more than 1 % of their parameters unused, which a note says. "
        f"Median {statistics.median(result['seconds'] for result in counted):.1f} s per model with its import and "
        "construction.\n"
    )
    yield "Built but not counted:\n"
    yield from (f"- {result['name']}: {_reason(result)}" for result in failed if result not in not_built)
    yield (
        "\nNot built: transformers itself cannot build the default configuration, or needs a package that was "
        "missing.\n"
    )
    yield from (f"- {result['name']}: {_reason(result)}" for result in not_built)


def _reason(result: Result) -> str:
    """The first error, without the inputs and the advice."""
    first, *more = result["error"].splitlines()
    error = first.partition("; for another input")[0].partition(", and on real tensors")[0] + ("…" if more else "")
    error = re.sub(r"^(AnalyzerError|InputError|CannotMeasure|UnknownModel): ", "", error)
    error = error.removeprefix(f"hf:{result['name']} ")
    error = re.sub(r"/\S*/(?=site-packages/)", "", error)  # Without the folder of the installation.
    return error if len(error) <= MAX_REASON else error[: MAX_REASON - 1].rstrip() + "…"


def _place(result: Result) -> str:
    note = next((note for note in result["notes"] if note.startswith("counted on")), "counted on meta")
    return note.partition(":")[0].removeprefix("counted ")


if __name__ == "__main__":
    print("\n".join(section(survey(Path(parse_options(__doc__, results=...).results)))))
