"""docs/complaints.md: every row names a public thread and a test that exists."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROW = re.compile(
    r"^\| [^|]+ \| \[[^]]+\]\(https://github\.com/[\w.-]+/[\w.-]+/(?:issues|pull)/\d+\) \| [^|]+ \| "
    r"\[\w+\]\(\.\./(tests/[\w/]+\.py)\): `(test_\w+)` \|$"
)


def test_every_complaint_names_a_thread_and_a_test():
    lines = (ROOT / "docs" / "complaints.md").read_text(encoding="utf-8").splitlines()
    rows = [line for line in lines if line.startswith("| ")][1:]  # The first is the heading.
    assert len(rows) >= 25
    for row in rows:
        match = ROW.match(row)
        assert match, row
        file, test = match.groups()
        assert f"def {test}(" in (ROOT / file).read_text(encoding="utf-8"), row
