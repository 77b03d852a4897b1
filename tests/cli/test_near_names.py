"""Wrong names of options, commands and files get the nearest ones; the help lists the options of its examples."""

from __future__ import annotations

import re

import pytest


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["googlenet", "--inptu", "3x8x8"], "no option --inptu; nearest: --input;"),
        (["googlenet", "--optimiser", "adam"], "nearest: --optimizer"),
        (["googlenet", "--zzz"], "no option has a similar name"),
        (["repport", "googlenet"], "nearest command: report;"),
        (["nett.py"], "no file nett.py; nearest: net.py"),
        (["nett.py:Net"], "no file nett.py; nearest: net.py"),
        (["other.py"], "no file other.py; wanted FILE.py"),
    ],
)
def test_a_wrong_name_gets_the_nearest_ones(analyze, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text("", encoding="utf-8")
    result = analyze(*arguments)
    assert words in result.err
    assert result.status == 2


def test_the_help_of_check_lists_the_options_of_its_examples(analyze):
    text = analyze("check", "--help").out
    options, examples = text.split("Examples:")
    assert "Memory:" not in options
    for option in re.findall(r"--[a-z-]+", examples.split("Counts are")[0]):
        assert re.search(rf"^  (-\w, )?{option}\b", options, re.M), option
