"""`analyze report --from`: stored results as a page and as tables, and what is refused."""

from __future__ import annotations

import csv
import io
import json
import re

import pytest

from analyzer.database.result_rows import encode
from analyzer.database.store import open_store
from analyzer.sweeps.analysis.points import point, row_point
from analyzer.sweeps.grid import cases
from analyzer.sweeps.grid_file import parse_grid
from analyzer.sweeps.keys import grid_key
from tests.sweeps.results import measured_grid, result
from tests.timed_records import timed

pytestmark = pytest.mark.usefixtures("project")
GRID = 'models = ["alexnet", "nin"]\nbatch = [1, 2]\n'


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A store with 72 results of a sweep on two machines."""
    path = tmp_path_factory.mktemp("stored") / "lab.sqlite"
    with open_store(str(path)) as store:
        store.insert(map(encode, measured_grid()))
    return str(path)


def test_a_row_of_the_store_gives_the_same_point_as_its_result():
    training = result("net", mode="training")
    whole = timed("nin", batch=2)
    case = result("nin", batch=2, threads=2).case
    results = [*measured_grid()[:3], result("a", macs=5, overrides={"b.out": 3}), training,
               result("a", failed="out of memory"), result("nin").replace(case=case, record=whole)]  # fmt: skip
    for each in results:
        assert row_point(encode(each)) == point(each)


def test_the_page_of_the_history(analyze, stored, project):
    done = analyze("report", "--from", "history", "--store", stored, "--charts", "none")
    assert (done.status, done.out) == (0, "")
    page = (project / "analysis.html").read_text(encoding="utf-8")
    assert "72 configurations of 3 models: 70 timed on 2 machines" in page
    assert "analyze report --from history" in page
    assert stored not in page  # The URL of a store may have a password.


def test_networks_and_stored_results_share_a_page(analyze, stored, project):
    done = analyze("report", "nin", "alexnet", "--from", "history", "--store", stored, "--charts", "none")
    assert done.status == 0
    page = (project / "analysis.html").read_text(encoding="utf-8")
    ids = re.findall(r'<section id="([^"]+)"', page)
    assert ids[0] == "summary"
    assert ids.index("sweep") < ids.index("sweep-front") < ids.index("sweep-results") < ids.index("table")
    every = re.findall(r' id="?([^" >]+)', page)
    assert len(every) == len(set(every))


def test_where_selects_and_accuracies_of_unknown_models_are_named(analyze, stored, project):
    (project / "acc.csv").write_text("model,top-1\nalexnet,56.5\ngooglenets,69.8\nnin,58.0\n", encoding="utf-8")
    done = analyze("report", "--from", "history", "--store", stored, "--where", 'model in ["alexnet", "nin"]',
                   "--accuracy", "acc.csv", "--format", "json")  # fmt: skip
    assert done.status == 0
    assert "'googlenets'" in done.err
    data = json.loads(done.out)
    assert {item["model"] for item in data["results"]} == {"alexnet", "nin"}
    assert (data["fronts"][0]["cost"], data["fronts"][0]["against"]) == ("time", "top-1")
    assert data["notes"]


def test_formats_and_the_chosen_cost_and_axes(analyze, stored, project):
    shown = analyze("report", "--from", "history", "--store", stored, "--cost", "macs", "--axes", "threads,batch",
                    "--format", "table")  # fmt: skip
    assert shown.status == 0
    assert shown.out.index("MACs against params") < shown.out.index("time against params")
    assert "samples/s by threads and batch" in shown.out
    assert all(len(line) <= 80 for line in shown.out.splitlines())
    done = analyze("report", "--from", "history", "--store", stored, "-o", "sweep.csv")
    assert done.status == 0
    lines = list(csv.DictReader(io.StringIO((project / "sweep.csv").read_text(encoding="utf-8"))))
    assert {line["section"] for line in lines} == {"results", "failures", "best", "fronts", "scaling", "machines"}
    assert "googlenet, batch 1" in analyze("report", "--from", "history", "--store", stored, "--format", "md").out


def test_the_results_of_a_grids_file_are_those_of_its_runs(analyze, project):
    (project / "sweep.toml").write_text(GRID, encoding="utf-8")
    missing = analyze("report", "--from", "sweep.toml")
    assert missing.status == 2
    assert "analyze sweep sweep.toml" in missing.err
    run = f"20260101T000000.000Z-{grid_key(cases(parse_grid({'models': ['alexnet', 'nin'], 'batch': [1, 2]})))}"
    other = result("other", batch=4).replace(run="20260102T000000.000Z-00000000")
    with open_store() as store:
        store.insert(map(encode, [result("nin").replace(run=run), result("alexnet").replace(run=run), other]))
    shown = json.loads(analyze("report", "--from", "sweep.toml", "--format", "json").out)
    assert sorted(item["model"] for item in shown["results"]) == ["alexnet", "nin"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("--from histroy", "neither history nor"),
        ("--from missing.toml", "missing.toml"),
        ("--from history", "no results"),
        ("--from history --where model", "filter"),
        ("--from history --axes a,b,c", "one or two different axes"),
        ("--from history --accuracy nowhere.csv", "nowhere.csv"),
        ("--from history googlenet --format csv", "leave out models"),
        ("--from history --batch 2", "have no effect on stored results"),
        ("googlenet --where x", "--where has no effect without --from"),
        ("googlenet --cost macs", "--cost has no effect without --from"),
        ("googlenet --format csv", "needs --from"),
    ],
)
def test_bad_input_is_one_line(analyze, arguments, words):
    done = analyze("report", *arguments.split())
    assert (done.status, done.out) == (2, "")
    assert words in done.err
    assert len(done.err.splitlines()) == 1


def test_a_filter_that_selects_nothing_and_an_unknown_axis_are_named(analyze, stored):
    nothing = analyze("report", "--from", "history", "--store", stored, "--where", 'model == "vgg"')
    assert (nothing.status, "selects no result" in nothing.err) == (2, True)
    axis = analyze("report", "--from", "history", "--store", stored, "--axes", "thread")
    assert (axis.status, "nearest: threads" in axis.err) == (2, True)
