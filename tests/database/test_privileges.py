"""The rights in docs/history.md suffice for each role, and no role has more than it needs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from analyzer.core.errors import AnalyzerError
from analyzer.database.columns import COLUMNS
from analyzer.database.result_rows import encode
from analyzer.database.store import migrate_store, open_store
from tests.database.results import result

PAGE = (Path(__file__).parents[2] / "docs" / "history.md").read_text(encoding="utf-8")
PASSWORD = "t3am"


def statements(file: str) -> str:
    (block,) = re.findall(rf'```sql title="{file}"\n(.*?)```', PAGE, re.DOTALL)
    return block


@pytest.mark.slow
def test_each_role_may_do_its_part_and_no_more(server, database):
    name = database.rpartition("/")[2]
    server.execute(statements("roles.sql"), name)
    roles = re.findall(r"CREATE ROLE (\w+)", statements("roles.sql"))
    for role in roles:
        server.execute(f"ALTER ROLE {role} PASSWORD '{PASSWORD}'")
    owner, writer, reader, pruner = (server.url(name, role, PASSWORD) for role in roles)

    with pytest.raises(AnalyzerError, match="may not do this"), open_store(writer):
        pass
    assert migrate_store(owner)[1] is None
    server.execute(statements("rights.sql"), name)

    with open_store(writer) as store:
        assert store.insert([encode(result("a")), encode(result("b"))]) == 2
        assert store.insert([encode(result("b")), encode(result("c"))]) == 1
        assert store.keys("sweep") == {"a", "b", "c"}
        with pytest.raises(AnalyzerError, match="may not do this"):
            store.delete('key == "a"')
    with open_store(reader) as store:
        assert len(list(store.results())) == store.runs()[0]["results"] == len(store.frame()) == 3
        assert store.get("a")["key"] == store.find("a")[0] == "a"
        for change in (lambda: store.insert([encode(result("d"))]), lambda: store.delete(None)):
            with pytest.raises(AnalyzerError, match="may not do this"):
                change()
    with open_store(pruner) as store:
        assert store.delete('key != "a"') == 2
        with pytest.raises(AnalyzerError, match="may not do this"):
            store.insert([encode(result("d"))])
    with open_store(owner) as store:
        assert [found.key for found in store.results()] == ["a"], "documents were deleted with their results"


def test_the_page_has_every_column():
    shown = re.findall(r"^\| `(\w+)` \| (text|integer|number|boolean) \| (.*) \|$", PAGE, re.MULTILINE)
    assert shown == [(column.name, column.kind, column.meaning) for column in COLUMNS]
