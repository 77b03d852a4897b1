"""The actions of this repository, step by step: checks of pull requests, comments, and a history between runs."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.actions.conftest import EXPRESSION, ROOT, load
from tests.regression.paired.conftest import git
from tests.trends.bench_files import bench

pytestmark = pytest.mark.slow

CHECK, COMMENT, HISTORY = (
    "action.yml", ".github/actions/comment/action.yml", ".github/actions/history/action.yml",
)  # fmt: skip
# Counts are checked as usual. Times take long, and are tested elsewhere: here only which commit they are taken of.
FIND_BASE = """#!/bin/sh
case "$*" in
  *--base*) echo "$*" >"$REPORTS/arguments" && exec {python} -c "
import os, sys
from pathlib import Path
from analyzer.core.errors import AnalyzerError
from analyzer.regression.paired.base_commit import find_base
try:
    print(find_base(Path.cwd(), os.environ), file=open(os.environ['REPORTS'] + '/base', 'w'))
except AnalyzerError as error:
    sys.exit(str(error) and 2)
" ;;
  *) exec {python} -m analyzer "$@" ;;
esac
"""


def event(name, number="", head=""):
    return {
        "github.event_name": name,
        "github.event.pull_request.number": number,
        "github.event.pull_request.head.sha || github.sha": head,
    }


@pytest.fixture
def pull_request(commit, tmp_path, analyze):
    """A repository with a baseline on main, a change that doubles the layers, and the merge commit of both."""
    commit(layers=4)
    assert analyze("check", "--update").status == 0
    commit(layers=None, **{"README.md": "baseline"})
    git(tmp_path, "checkout", "-q", "-b", "feature")
    head = commit(layers=8)
    git(tmp_path, "checkout", "-q", "-b", "pull", "main")
    git(tmp_path, "merge", "-q", "--no-ff", "-m", "merge", "feature")
    git(tmp_path, "checkout", "-q", "main")
    commit(layers=4, **{"docs.md": "main has moved on since"})
    return head


@pytest.fixture
def fake_times(runner):
    import sys

    runner.replace_analyze(FIND_BASE.replace("{python}", sys.executable))


@pytest.mark.parametrize(("name", "number"), [("pull_request", "7"), ("merge_group", "")])
def test_growth_of_a_merge_commit_fails_and_is_reported(
    runner, fake_times, clone, pull_request, tmp_path, name, number
):
    """The merge queue checks out a merge commit too, of no pull request."""
    checkout = clone("pull", 2)
    assert runner.run_action(CHECK, checkout, event(name, number, pull_request)) == 1
    reports = runner.temp / "macscope"
    assert "regressed" in (reports / "comment.md").read_text()
    assert "<failure" in (reports / "counts.xml").read_text()
    (scan,) = json.loads((reports / "counts.sarif").read_text())["runs"]
    assert {finding["level"] for finding in scan["results"]} == {"error"}
    assert "::error" in runner.output
    assert "Check failed" in (runner.folder / "summary.md").read_text()
    assert (reports / "pull_request").read_text() == f"{number}\n"
    assert (reports / "commit").read_text() == f"{pull_request}\n"
    base = git(checkout, "rev-parse", (reports / "base").read_text().strip())
    assert base == git(tmp_path, "rev-parse", "main~1"), "the first parent, and not where main is now"
    assert "--time-budget auto" in (reports / "arguments").read_text()
    assert git(checkout, "status", "--porcelain") == "", "the tree that is timed has no reports"


def test_a_checkout_of_depth_1_says_what_to_fetch(runner, fake_times, clone, pull_request):
    assert runner.run_action(CHECK, clone("pull", 1), event("merge_group"), {"counts": "false"}) == 2


def test_a_push_has_no_times_and_a_model_without_a_baseline_passes(runner, fake_times, clone, pull_request):
    checkout = clone("main", 1)
    (checkout / "analyzer-baseline.json").unlink()
    assert runner.run_action(CHECK, checkout, event("push")) == 0
    assert not (runner.temp / "macscope" / "arguments").exists()
    assert runner.run_action(CHECK, checkout, event("push"), {"strict": "true"}) == 3


def test_real_times_of_a_merge_commit(runner, clone, pull_request):
    """Twice the layers take more than 1 % longer, on any machine."""
    checkout = clone("pull", 2)
    inputs = {"counts": "false", "time-budget": "30"}  # Ends once the growth is certain.
    assert runner.run_action(CHECK, checkout, event("pull_request"), inputs) == 1, runner.output
    assert "regressed" in (runner.temp / "macscope" / "times.md").read_text()


# --- comments --------------------------------------------------------------------------------------------------------
HEAD = "a" * 40


@pytest.fixture
def artifact(runner):
    folder = runner.temp / "macscope-comment"
    folder.mkdir()
    (folder / "comment.md").write_text("### Check failed: ü\n" + "x" * 70_000)
    (folder / "pull_request").write_text("7\n")
    runner.answers = {"pulls/7 --jq": HEAD}
    return folder


def comment(runner, tmp_path, head=HEAD):
    return runner.run_action(
        COMMENT, tmp_path, {"github.event.workflow_run.head_sha": head, "github.event.workflow_run.id": "1"}
    )


@pytest.mark.parametrize("existing", ["", "99"])
def test_one_comment_is_kept_up_to_date(runner, artifact, tmp_path, existing):
    runner.answers["--paginate"] = existing
    assert comment(runner, tmp_path) == 0, runner.output
    call, body = runner.calls()[-1]
    assert f"repos/owner/name/issues/{'comments/99' if existing else '7/comments'}" in call
    assert ("PATCH" if existing else "POST") in call
    assert body.startswith("<!-- macscope -->\n### Check failed: ü")
    assert 50_000 < len(body) < 65_000


@pytest.mark.parametrize(
    ("number", "status"), [("7; echo x", 1), ("$(id)", 1), ("../../x", 1), ("", 0), ("8", 0), ("7\n8", 0)]
)
def test_a_forged_artifact_comments_nowhere_else(runner, artifact, tmp_path, number, status):
    """The number must be that of a pull request whose head is the commit of the run."""
    (artifact / "pull_request").write_text(number)
    assert comment(runner, tmp_path) == status
    assert not [call for call, *_ in runner.calls() if "POST" in call or "PATCH" in call]


def test_an_older_run_does_not_replace_the_comment_of_a_newer_one(runner, artifact, tmp_path):
    assert comment(runner, tmp_path, head="b" * 40) == 0
    assert not [call for call, *_ in runner.calls() if "POST" in call or "PATCH" in call]


# --- history ---------------------------------------------------------------------------------------------------------
@pytest.fixture
def remote(commit, tmp_path, tmp_path_factory):
    """A bare repository, as a server has it."""
    commit(layers=4)
    bare = tmp_path_factory.mktemp("remote") / "remote.git"
    git(tmp_path, "clone", "-q", "--bare", str(tmp_path), str(bare))
    return bare


def checkout_of(remote, folder):
    git(folder, "clone", "-q", "--depth", "1", "--branch", "main", f"file://{remote}", "checkout")
    for key, value in (("user.name", "a"), ("user.email", "a@b")):
        git(folder / "checkout", "config", key, value)
    return folder / "checkout"


def add_runs(runner, checkout, days, slow_from=99):
    for day in days:
        times = {"a": 0.01 * (1.5 if day >= slow_from else 1), "b": 0.01, "c": 0.02}
        (checkout / f"bench{day}.json").write_text(bench(times, day=day))
    return runner.run_action(HISTORY, checkout, {}, {"import": "."})


def test_a_branch_keeps_the_history_and_growth_opens_one_issue(runner, remote, tmp_path_factory):
    first = checkout_of(remote, tmp_path_factory.mktemp("first"))
    assert add_runs(runner, first, range(1, 9)) == 0, runner.output
    assert runner.calls() == []
    second = checkout_of(remote, tmp_path_factory.mktemp("second"))
    assert add_runs(runner, second, range(9, 17), slow_from=9) == 1, runner.output
    ((call, body),) = runner.calls()
    assert "repos/owner/name/issues" in call
    assert re.search(r"^- a: \+50 %", body, re.M)
    third = checkout_of(remote, tmp_path_factory.mktemp("third"))
    assert add_runs(runner, third, [17], slow_from=9) == 0, runner.output
    assert len(runner.calls()) == 1, "each change once"
    files = git(remote, "ls-tree", "-r", "--name-only", "macscope-history").splitlines()
    assert sum("imported/" in name for name in files) == 17
    assert {name.partition("/")[0] for name in files} == {".analyze"}
    assert git(third, "status", "--porcelain").splitlines() == ["?? bench17.json"]


def test_two_jobs_at_the_same_time_lose_no_run(runner, remote, tmp_path_factory):
    first, second = (checkout_of(remote, tmp_path_factory.mktemp(name)) for name in ("first", "second"))
    assert add_runs(runner, first, [1]) == 0
    hook = second / ".git" / "hooks" / "pre-push"  # While the second job pushes, another one does.
    hook.write_text(
        '#!/bin/sh\nrm -f "$0"\nunset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE GIT_PREFIX\n'
        f"cd $(mktemp -d) && git clone -q -b macscope-history file://{remote} x && cd x && echo 1 >.analyze/other && "
        "git add -f . && git -c user.name=a -c user.email=a@b commit -qm other && git push -q\n"
    )
    hook.chmod(0o755)
    assert add_runs(runner, second, [2]) == 0, runner.output
    files = git(remote, "ls-tree", "-r", "--name-only", "macscope-history").splitlines()
    assert sum("imported/" in name for name in files) == 2
    assert ".analyze/other" in files


# --- recipes ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("path", [CHECK, COMMENT, HISTORY])
def test_scripts_contain_no_expression(path):
    """An expression in a script is replaced before the shell reads it: a branch could be called $(…)."""
    steps = load(path)["runs"]["steps"]
    assert not [step for step in steps if EXPRESSION.search(step.get("run", ""))]


def test_code_scanning_is_optional_and_never_of_a_fork():
    """A token of a fork's pull request cannot write there, and a failed upload would turn the check red."""
    (step,) = [step for step in load(CHECK)["runs"]["steps"] if "upload-sarif" in step.get("uses", "")]
    assert "inputs.sarif == 'true'" in step["if"]
    assert "head.repo.fork != true" in step["if"]
    assert load(CHECK)["inputs"]["sarif"]["default"] == "false"


@pytest.mark.parametrize("path", sorted(Path(ROOT / "examples").glob("github-*.yml")), ids=lambda path: path.name)
def test_recipes_name_their_permissions_and_a_timeout(path):
    recipe = load(f"examples/{path.name}")
    assert recipe["permissions"]
    assert recipe["concurrency"]
    for job in recipe["jobs"].values():
        assert job["timeout-minutes"] <= 60
    triggers = recipe[True]  # YAML 1.1 reads the key `on` as true.
    if "pull_request" in triggers:
        assert recipe["permissions"] == {"contents": "read"}
        assert "merge_group" in triggers
        assert triggers["pull_request"]["paths"]


def test_the_steps_of_gitlab_fail_as_the_check_does(runner, clone, pull_request, tmp_path):
    script = "\n".join(load("examples/gitlab-ci.yml")["macscope"]["script"]).replace(
        "/tmp/macscope", str(tmp_path / "r")
    )
    checkout = clone("pull", 2)
    environment = {"PATH": f"{runner.path}:/usr/bin:/bin", "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}
    done = subprocess.run(["bash", "-c", script], cwd=checkout, env=environment, capture_output=True, check=False)
    assert done.returncode == 1, done.stderr
    quality = json.loads((checkout / "macscope-reports" / "quality.json").read_text())
    assert {entry["location"]["path"] for entry in quality} == {"net.py"}
    assert "<failure" in (checkout / "macscope-reports" / "counts.xml").read_text()


def test_hooks_of_pre_commit_run_a_check():
    hooks = load(".pre-commit-hooks.yaml")
    assert [hook["language"] for hook in hooks] == ["python", "system"]
    assert {hook["entry"] for hook in hooks} == {"analyze check"}
    assert not any(hook["pass_filenames"] for hook in hooks)
