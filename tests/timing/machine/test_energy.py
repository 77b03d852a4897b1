"""Energy of a pass from RAPL's counters, or one reason why it cannot be known."""

from __future__ import annotations

import pytest

from analyzer.timing.driver.process_notes import pass_energy as pass_energy_of
from analyzer.timing.machine import energy
from analyzer.timing.machine.energy import NO_RAPL, UNREADABLE, pass_energy
from analyzer.worker.reply import Reply


def zone(folder, name, number, counter=None):
    zone = folder / f"intel-rapl:{number}"
    zone.mkdir()
    (zone / "name").write_text(name + "\n", encoding="ascii")
    (zone / "max_energy_range_uj").write_text("1000000\n", encoding="ascii")
    if counter is not None:
        (zone / "energy_uj").write_text(f"{counter}\n", encoding="ascii")
    return zone / "energy_uj"


def test_the_packages_are_read_before_and_after_passes(tmp_path, monkeypatch):
    monkeypatch.setattr(energy, "MIN_S", 0.0)
    first, second = zone(tmp_path, "package-0", 0, 100_000), zone(tmp_path, "package-1", 1, 999_000)
    zone(tmp_path, "psys", 2, 5)

    def run():
        first.write_text("300000\n", encoding="ascii")  # 0.2 J more.
        second.write_text("4000\n", encoding="ascii")  # Wrapped at 1 J: 5 mJ more.

    monkeypatch.setattr(energy.time, "perf_counter", iter([0.0, -1.0, 1.0, 1.0]).__next__)
    used = pass_energy(run, "cpu", tmp_path)
    assert (used.joules, used.source) == (pytest.approx(0.205), "RAPL, 2 packages")


def test_the_reason_if_there_is_no_counter(tmp_path):
    assert pass_energy(lambda: None, "cpu", tmp_path).reason == NO_RAPL
    zone(tmp_path, "package-0", 0)
    assert pass_energy(lambda: None, "cpu", tmp_path).reason == UNREADABLE


def test_the_median_of_processes_and_the_note():
    def reply(**found):
        return Reply(({"event": "done", "energy": found},), "done")

    joules, (note,) = pass_energy_of([reply(joules=used, source="RAPL, 1 package") for used in (1.0, 3.0, 2.0)])
    assert joules == 2.0
    assert "RAPL" in note
    assert pass_energy_of([reply(source="", reason="why")]) == (None, ["the energy of a pass cannot be known: why"])
    assert pass_energy_of([Reply(({"event": "done"},), "done")]) == (None, [])
