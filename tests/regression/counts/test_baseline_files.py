"""A baseline as a folder with a file per model, and conflicts of git."""

from __future__ import annotations

import subprocess

import pytest

from analyzer.regression.counts.baseline_files import file_name

TWO = 'models = ["nin", "alexnet"]\nbaseline = "counts/"\n'


def test_a_folder_has_a_file_per_model(project, analyze):
    root = project(TWO)
    assert analyze("check").status == 0
    assert analyze("check", "--strict").status == 3
    assert analyze("check", "--update").status == 0
    assert sorted(path.name for path in (root / "counts").iterdir()) == ["alexnet.json", "nin.json"]
    assert analyze("check", "--strict").status == 0
    stamp = (root / "counts" / "nin.json").stat().st_mtime_ns
    project(TWO.replace(', "alexnet"', ', "nin@cccp1.out=95"'))
    assert analyze("check", "--update").status == 0
    assert sorted(path.name for path in (root / "counts").iterdir()) == ["nin.json", "nin@cccp1.out=95.json"]
    assert (root / "counts" / "nin.json").stat().st_mtime_ns == stamp
    (root / "counts" / "nin.json").write_text("{}")
    done = analyze("check")
    assert (done.status, "counts/nin.json" in done.err) == (2, True)


@pytest.mark.parametrize("model", ["net.py:Net", "../../x", "a/b\\c", "x" * 300, "CON", "ä:*?"])
def test_every_model_has_a_file_name(model):
    name = file_name(model)
    assert not set('/\\:*?"<>|') & set(name)
    assert len(name) < 255


def git(root, *arguments, status=0):
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-c", "core.hooksPath=/dev/null", *arguments]
    assert subprocess.run(command, cwd=root, capture_output=True, check=False).returncode == status


@pytest.mark.parametrize("name", ["counts/", "counts.json"])
@pytest.mark.parametrize("style", ["merge", "diff3"])
def test_conflicts_of_git_are_resolved_by_counting(project, analyze, name, style):
    """Both branches changed the same model: the baseline of the merge is neither side's."""

    def commit(out: int, message: str) -> None:
        project(f'models = ["nin@cccp1.out={out}", "alexnet"]\nbaseline = "{name}"\n')
        path = root / "counts" / file_name(f"nin@cccp1.out={out}") if name.endswith("/") else root / name
        assert analyze("check", "--update").status == 0
        # Stored under one name, as if the code had changed and not the name.
        if name.endswith("/"):
            (root / "counts" / "nin.json").write_text(path.read_text().replace(f"nin@cccp1.out={out}", "nin"))
            path.unlink()
        else:
            path.write_text(path.read_text().replace(f"nin@cccp1.out={out}", "nin"))
        project(f'models = ["nin", "alexnet"]\nbaseline = "{name}"\n')
        git(root, "add", "-A")
        git(root, "commit", "-q", "-m", message)

    root = project()
    git(root, "init", "-q", "-b", "main")
    commit(90, "base")
    git(root, "checkout", "-q", "-b", "other")
    commit(92, "theirs")
    git(root, "checkout", "-q", "main")
    commit(91, "ours")
    assert analyze("check", "--resolve").status == 2
    git(root, "-c", f"merge.conflictStyle={style}", "merge", "other", status=1)
    done = analyze("check", "--resolve")
    assert done.status == 0, done.err
    assert "Check updated: 1 regressed, 1 unchanged" in done.out  # 96 channels now, 91 on our side.
    assert analyze("check", "--strict").status == 0
