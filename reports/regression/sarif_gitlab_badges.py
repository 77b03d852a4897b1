"""What a check found, one entry per model and metric, for code scanning (SARIF), GitLab and badges."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any, Literal, TypeAlias

from analyzer.core.errors import one_line
from analyzer.core.frozen import Frozen
from analyzer.records.record_json import pretty
from analyzer.regression.outcome import TOTAL, Change, CheckResult
from reports.regression.summary import conclusion, describe, outcome_counts

Level: TypeAlias = Literal["error", "warning", "note"]

SETTINGS = "pyproject.toml"
MAX_LINES = 12
GITLAB_SEVERITY = {"error": "major", "warning": "minor", "note": "info"}
COLORS = {"passed": "brightgreen", "updated": "blue", "failed": "red"}
SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
DESCRIPTIONS = {"error": "A model or benchmark could not be checked.", "time": "A time grew.", "count": "A count grew."}


class Finding(Frozen):
    """`file` is the model's file if its name has one, else the settings. `rule` is a metric, or "error"."""

    level: Level
    model: str
    rule: str
    message: str
    file: str

    @property
    def fingerprint(self) -> str:
        """Equal for the same model and metric of another commit, so that a server sees when a finding is new."""
        return hashlib.sha256(f"{self.model}\n{self.rule}".encode(errors="backslashreplace")).hexdigest()


def findings(result: CheckResult) -> Iterator[Finding]:
    """An error per model and metric that fails, and per model that cannot be checked; a warning per undecided model."""
    if result.incomparable:
        yield Finding("error", result.title, "error", result.incomparable, SETTINGS)
        return
    for model in result.models:
        file = file_of(model)
        by_metric: dict[str, list[str]] = {}
        for check in result.of(model):
            if check.error:
                yield Finding("error", model, "error", f"{model}: {check.reason}", file)
            for change in sorted(check.changes, key=_totals_first):
                if result.fails(change):
                    by_metric.setdefault(change.metric, []).append(describe(change, check))
        for metric, lines in by_metric.items():
            more = [f"and {len(lines) - MAX_LINES} more"] if len(lines) > MAX_LINES else []
            yield Finding("error", model, metric, f"{model}: " + "; ".join([*lines[:MAX_LINES], *more]), file)
        if result.inconclusive and result.outcome(model) == "inconclusive":
            check = result.of(model)[0]
            message = check.reason or describe(check.changes[0], check)
            yield Finding("warning", model, check.changes[0].metric, f"{model}: {message}", file)


def _totals_first(change: Change) -> bool:
    return change.path != TOTAL


def file_of(model: str) -> str:
    """The Python file in a model's or benchmark's name.

    >>> [file_of("net.py:Net(width=3)"), file_of("tests/test_a.py::test_b[x]"), file_of("googlenet")]
    ['net.py', 'tests/test_a.py', 'pyproject.toml']
    """
    file = model.partition(":")[0]
    return one_line(file).removeprefix("./") if file.endswith(".py") and not file.startswith("/") else SETTINGS


def sarif(result: CheckResult) -> str:
    """SARIF 2.1.0 (OASIS), which GitHub's code scanning and editors read."""
    from analyzer.core.version import version

    every_finding = list(findings(result))
    rules = [
        {"id": rule, "shortDescription": {"text": _description(rule)}, "name": rule}
        for rule in dict.fromkeys(finding.rule for finding in every_finding)
    ]
    results = [
        {
            "ruleId": finding.rule,
            "level": finding.level,
            "message": {"text": one_line(finding.message)},
            "locations": [
                {
                    "physicalLocation": {"artifactLocation": {"uri": finding.file}, "region": {"startLine": 1}},
                    "logicalLocations": [{"fullyQualifiedName": one_line(finding.model), "kind": "module"}],
                }
            ],
            "partialFingerprints": {"model/v1": finding.fingerprint},
        }
        for finding in every_finding
    ]
    driver = {"name": "macscope", "version": version(), "rules": rules}
    # Code scanning keeps one set of results per category: counts and times of one commit must not replace each other.
    category = {"id": f"macscope {result.title.lower()}/"}
    run = {
        "tool": {"driver": driver},
        "automationDetails": category,
        "results": results,
        "properties": {"conclusion": conclusion(result)},
    }
    return pretty({"$schema": SARIF_SCHEMA, "version": "2.1.0", "runs": [run]}) + "\n"


def _description(rule: str) -> str:
    return DESCRIPTIONS.get(rule) or DESCRIPTIONS["time" if rule.endswith("time") else "count"]


def gitlab(result: CheckResult) -> str:
    """A Code Quality report of GitLab, shown in merge requests."""
    entries: list[dict[str, Any]] = [
        {
            "description": one_line(finding.message),
            "check_name": f"macscope {finding.rule}",
            "fingerprint": finding.fingerprint,
            "severity": GITLAB_SEVERITY[finding.level],
            "location": {"path": finding.file, "lines": {"begin": 1}},
        }
        for finding in findings(result)
    ]
    return json.dumps(entries, indent=1) + "\n"


def badge(result: CheckResult) -> str:
    """An endpoint of shields.io: `![macscope](https://img.shields.io/endpoint?url=URL-OF-THIS-FILE)`."""
    state, details = conclusion(result), outcome_counts(result)
    content = {
        "schemaVersion": 1,
        "label": result.title.lower(),
        "message": details if state in ("passed", "incomparable") else f"{state}: {details}",
        "color": COLORS.get(state, "yellow"),
    }
    return json.dumps(content) + "\n"
