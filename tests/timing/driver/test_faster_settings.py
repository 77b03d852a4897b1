"""What `analyze advise` concludes from measurements that are made up."""

from __future__ import annotations

import random

from analyzer.records.record import Record
from analyzer.records.rows import Count
from analyzer.records.timings import Configuration, Measurement, Timing
from analyzer.timing.driver.faster_settings import combined, limits, settings_to_try, trial
from reports.advise import ranked, tables

BASE = Configuration(threads=4)
SETTINGS = {setting.name: setting for setting in settings_to_try(BASE, images=True, processors=4)}


def record(configuration=BASE, seconds=0.1, spread=0.01, quality="trusted", processes=5, timings=(), warnings=()):
    random_ = random.Random(str(configuration))
    samples = tuple(seconds * (1 + spread * random_.gauss(0, 1)) for _ in range(processes * 10))
    timing = Timing("", "", 1, "pass", "pass", samples, quality, "", (10,) * processes)
    measurement = Measurement(configuration, (timing, *timings), quality, warnings=warnings)
    return Record("net", (), "inference", Count("dispatch", ()), measurement=measurement)


def at(name, seconds, **more):
    return trial(SETTINGS[name], record(), record(SETTINGS[name].of(BASE), seconds, **more))


def test_settings_depend_on_the_configuration():
    assert set(SETTINGS) == {"channels_last", "threads 2", "threads 1", "bfloat16", "batch 8", "compiled"}
    sequence = settings_to_try(BASE.replace(dtype="bfloat16", threads=1), images=False, processors=4)
    assert [setting.name for setting in sequence] == ["batch 8", "compiled"]
    on_gpu = settings_to_try(Configuration("cuda"), images=True, processors=4)
    assert "float16" in {setting.name for setting in on_gpu}
    assert all("threads" not in setting.name for setting in on_gpu)


def test_a_gain_is_certain_only_if_its_interval_excludes_one():
    assert at("channels_last", 0.05).verdict == "faster"
    assert at("threads 1", 0.2).verdict == "slower"
    assert at("threads 2", 0.1005, spread=0.1).verdict == "unclear"
    found = at("channels_last", 0.05)
    assert found.low < 2 < found.high


def test_a_larger_batch_is_compared_by_samples_per_second():
    assert at("batch 8", 0.4).speed > 1.9  # 8 samples in four times the time.
    assert at("batch 8", 0.8 * 1.2).verdict == "slower"


def test_void_and_failed_measurements_conclude_nothing():
    assert at("channels_last", 0.01, quality="void").verdict == "void"
    failed = Record("net", (), "inference", Count("dispatch", ()),
                    measurement=Measurement(BASE, (), "void", "no compiler", "failed"))  # fmt: skip
    result = trial(SETTINGS["compiled"], record(), failed)
    assert (result.verdict, result.reason, result.speed) == ("failed", "no compiler", None)


def test_faster_settings_are_combined_one_per_field():
    trials = [at("channels_last", 0.05), at("threads 2", 0.09), at("threads 1", 0.08), at("bfloat16", 0.3)]
    together = combined(trials)
    assert dict(together.changes) == {"layout": "channels_last", "threads": 1}
    assert together.options == "--layout channels_last --threads 1"
    assert combined(trials[:1]) is None


def test_limits_name_the_largest_operator_and_overhead():
    operators = (
        Timing("a", "conv2d", 1, "operator", "forward", (0.06,) * 50, "trusted", "", (10,) * 5),
        Timing("b", "linear", 1, "operator", "forward", (0.02,) * 50, "trusted", "", (10,) * 5),
        Timing("", "overhead", 1, "overhead", "forward", (0.02,) * 50, "trusted", "", (10,) * 5),
    )
    text = limits(record(timings=operators, warnings=("page faults took 9 %",)).measurement)
    assert text[0].startswith("conv2d takes 60 %")
    assert text[1].startswith("20 % is overhead")
    assert text[2] == "page faults took 9 %"


def test_the_table_ranks_by_the_lower_bound_and_shows_the_command():
    trials = [at("threads 1", 0.2), at("batch 8", 0.4), at("channels_last", 0.025), at("threads 2", 0.1, spread=0.2)]
    assert [item.setting.name for item in ranked(trials)][:2] == ["channels_last", "batch 8"]
    (table,) = tables(record(), trials, "analyze time net.py")
    assert table.rows[0][0] == "channels_last"
    assert "analyze time net.py --layout channels_last" in table.notes[-1]
    (nothing,) = tables(record(), trials[:1], "analyze time net.py")
    assert not any("Measure it again" in note for note in nothing.notes)
