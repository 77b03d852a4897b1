"""The process that used most CPU time while another one measured."""

from __future__ import annotations

from analyzer.timing.machine.contention import TICK_S
from analyzer.timing.machine.other_processes import Busiest, Used, busiest, cpu_times


def stat(folder, number, name, user, system):
    (folder / str(number)).mkdir()
    fields = " ".join(["S", *["0"] * 10, str(user), str(system), "0"])
    (folder / str(number) / "stat").write_text(f"{number} ({name}) {fields}\n", encoding="utf-8")


def test_times_are_read_by_process(tmp_path):
    stat(tmp_path, 7, "a) b (c", 30, 12)
    (tmp_path / "9").mkdir()  # Ended meanwhile.
    (tmp_path / "meminfo").touch()
    assert cpu_times(tmp_path) == {7: Used("a) b (c", 42 * TICK_S)}
    assert cpu_times(tmp_path / "none") == {}


def test_the_busiest_process_is_named():
    before = {1: Used("init", 5.0), 2: Used("old", 100.0)}
    after = {1: Used("init", 5.1), 2: Used("old", 101.0), 3: Used("new", 1.5)}
    assert busiest(before, after, 2.0) == Busiest("new", 3, 0.75)
    assert busiest(before, before, 2.0) is None
    assert busiest({}, {}, 2.0) is None
