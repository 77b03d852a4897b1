"""`-o FILE`: the file is replaced atomically or left unchanged, and no temporary file remains."""

from __future__ import annotations

import errno
import os
import stat
import threading
from pathlib import Path

import pytest

from analyzer.core.errors import AnalyzerError
from analyzer.core.files import write_text

JOB = ("--variant", "nin", "--format", "csv")
OLD = "old content\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("existing", [False, True])
def test_a_new_file_and_a_longer_file(analyze, folder, existing):
    if existing:
        (folder / "nin.csv").write_text(OLD * 10_000)
    assert analyze(*JOB, "-o", "nin.csv") == (0, "", "analyze: wrote nin.csv\n")
    assert (folder / "nin.csv").read_text() == analyze(*JOB).out
    assert listing(folder) == ["nin.csv"]


@pytest.mark.parametrize("name", ["net.py", "./GRID.TOML", "net.pt2"])
def test_a_model_or_grid_is_not_replaced(analyze, folder, name):
    (folder / name).write_text(OLD)
    done = analyze(*JOB, "-o", name)
    assert (done.status, done.out) == (2, "")
    assert f"{name!r} may be a model" in done.err
    assert (folder / name).read_text() == OLD


def test_a_dash_is_standard_output(analyze, folder):
    assert analyze(*JOB, "-o", "-") == analyze(*JOB)
    assert listing(folder) == []


# Files that cannot be written: exit status 2, one line, and the old content stays.


def refused(outcome, *words: str) -> None:
    assert (outcome.status, outcome.out) == (2, "")
    assert outcome.err.startswith("analyze: cannot write ")
    assert outcome.err.count("\n") == 1
    for word in words:
        assert word in outcome.err


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("missing/nin.csv", "No such file or directory"),
        ("directory", "folder"),
        ("file/nin.csv", "Not a directory"),
        ("x" * 300, "too long"),
        ("loop", "loop"),
    ],
)
def test_a_path_that_cannot_be_written(analyze, folder, name, reason):
    (folder / "directory").mkdir()
    (folder / "file").write_text(OLD)
    (folder / "loop").symlink_to("loop")
    refused(analyze(*JOB, "-o", name), name, reason)
    assert listing(folder) == ["directory", "file", "loop"]
    assert listing(folder / "directory") == []
    assert (folder / "file").read_text() == OLD


def test_a_name_as_long_as_a_name_may_be(analyze, folder):
    """The name of the temporary file is no longer than the final name."""
    assert analyze(*JOB, "-o", "x" * 255).status == 0
    assert listing(folder) == ["x" * 255]


def test_a_read_only_file(analyze, folder, monkeypatch):
    """os.access is replaced, since permission bits do not apply to root, who may run the tests."""
    (folder / "nin.csv").write_text(OLD)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    refused(analyze(*JOB, "-o", "nin.csv"), "read-only")
    assert (folder / "nin.csv").read_text() == OLD
    assert listing(folder) == ["nin.csv"]


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="permission bits do not apply to root")
def test_a_read_only_folder(analyze, folder):
    (folder / "shut").mkdir()
    (folder / "shut").chmod(0o500)
    refused(analyze(*JOB, "-o", "shut/nin.csv"), "Permission denied")


@pytest.mark.parametrize("call", ["os.fsync", "tempfile.mkstemp", "pathlib.Path.replace", "pathlib.Path.chmod"])
@pytest.mark.parametrize("existing", [True, False])
def test_a_disk_that_fails_at_any_step(analyze, folder, monkeypatch, call, existing):
    if existing:
        (folder / "nin.csv").write_text(OLD)

    def fail(*args, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(call, fail)
    refused(analyze(*JOB, "-o", "nin.csv"), "nin.csv", "No space left on device")
    assert listing(folder) == (["nin.csv"] if existing else [])
    assert not existing or (folder / "nin.csv").read_text() == OLD


def test_an_interrupt_while_writing(analyze, folder, monkeypatch):
    (folder / "nin.csv").write_text(OLD)

    def interrupt(handle):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    done = analyze(*JOB, "-o", "nin.csv")
    assert (done.status, done.out) == (130, "")
    assert done.err.strip() == "analyze: interrupted"
    assert (folder / "nin.csv").read_text() == OLD
    assert listing(folder) == ["nin.csv"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_device(analyze):
    refused(analyze(*JOB, "-o", "/dev/full"), "/dev/full", "No space left on device")
    assert stat.S_ISCHR(Path("/dev/full").stat().st_mode), "the device is still a device"


# Permissions, links, pipes and devices


def test_permissions_are_kept_and_new_files_follow_the_umask(folder):
    mask = os.umask(0o027)
    try:
        write_text("new", "1")
        write_text("old", "1")
        (folder / "old").chmod(0o604)
        write_text("old", "2")
    finally:
        os.umask(mask)
    assert stat.S_IMODE((folder / "new").stat().st_mode) == 0o640
    assert stat.S_IMODE((folder / "old").stat().st_mode) == 0o604
    assert (folder / "old").read_text() == "2"


@pytest.mark.parametrize("dangling", [False, True])
def test_a_link_stays_a_link_to_its_target(analyze, folder, dangling):
    if not dangling:
        (folder / "target").write_text(OLD)
    (folder / "link").symlink_to("target")
    assert analyze(*JOB, "-o", "link").status == 0
    assert (folder / "link").is_symlink()
    assert (folder / "target").read_text() == analyze(*JOB).out


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_named_pipe_is_written_to(analyze, folder):
    os.mkfifo(folder / "pipe")
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append((folder / "pipe").read_text()), daemon=True)
    reader.start()
    assert analyze(*JOB, "-o", "pipe").status == 0
    reader.join(timeout=30)
    assert read == [analyze(*JOB).out]
    assert listing(folder) == ["pipe"]


def test_text_is_utf_8_with_unix_line_ends(folder):
    write_text("text", "1x3 – ✓\nsecond\n")
    assert (folder / "text").read_bytes() == "1x3 – ✓\nsecond\n".encode()


def test_the_error_names_the_file_and_the_fix(folder):
    with pytest.raises(AnalyzerError, match=r"'missing/file'.*; name another file"):
        write_text("missing/file", "text")


def test_a_file_has_no_colors(analyze, folder, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert analyze(*JOB[:2], "-o", "out").status == 0
    assert "\x1b" not in (folder / "out").read_text()


@pytest.mark.parametrize(
    ("name", "in_mountinfo"), [("out.json", "out.json"), ("a b\n\\", r"a\040b\012\134")], ids=["plain", "escaped"]
)
def test_a_mounted_file_is_refused_before_the_work(analyze, folder, monkeypatch, name, in_mountinfo):
    """As with `docker -v "$PWD/out.json:/out.json"`: a mount point cannot be replaced."""
    (folder / name).write_text(OLD)
    mounts = (
        f"25 1 8:1 / / rw - ext4 /dev/sda rw\n42 27 8:1 /a {folder}/{in_mountinfo} rw,relatime - ext4 /dev/sda rw\n"
    )
    read = Path.read_bytes
    monkeypatch.setattr(
        Path, "read_bytes", lambda path: mounts.encode() if str(path) == "/proc/self/mountinfo" else read(path)
    )
    monkeypatch.setattr("analyzer.cli.jobs.count.run_count", lambda *_, **__: pytest.fail("counted first"))
    refused(analyze(*JOB, "-o", name), "mounted", "mount its folder")
    assert (folder / name).read_text() == OLD
