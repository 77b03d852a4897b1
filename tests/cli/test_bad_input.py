"""Bad input: exit status 2 and a one-line message that names the input and the fix; no output, no file written."""

from __future__ import annotations

import pytest

GOOGLENET = ("--variant", "googlenet")
HUGE = "9" * 30

# Names that would act as markup, a new line, an escape sequence or a change of direction if printed as they are.
HOSTILE = {
    "markup": "<script>alert(1)</script>",
    "newline": "a\nanalyze: all good",
    "carriage return": "aaaaaaaa\rb",
    "escape": "\x1b[31mred\x1b]0;title\x07",
    "c1 escape": "\x9b31mred",
    "right to left": "abc\u202edef\u2066",
    "null width": "a\u200bb\ufeff",
    "line separator": "a\u2028b\u2029c\x85d",
    "rich markup": "[bold red]x[/]",
    "formula": "=cmd|' /C calc'!A0",
    "surrogate": "a\udcffb",
    "percent": "%s %(name)s {0} {name}",
}


@pytest.fixture
def refused(analyze, tmp_path, monkeypatch):
    """A function that runs analyze, checks that it fails cleanly, and returns its message."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out").write_text("old content")

    def run(*arguments: str, status: int = 2) -> str:
        done = analyze(*arguments)
        assert (done.status, done.out) == (status, "")
        assert done.err.startswith("analyze: ")
        message = done.err.removesuffix("\n")
        assert message.isprintable(), "one line, no control characters"
        assert [path.name for path in tmp_path.iterdir()] == ["out"]
        assert (tmp_path / "out").read_text() == "old content"
        return message

    return run


CASES = {
    # Variants
    "a misspelt variant": (("--variant", "googlnet"), ["'googlnet'", "nearest: googlenet,", "analyze list"]),
    "an unknown variant": (("--variant", "resnet50"), ["'resnet50'", "analyze list"]),
    "an empty variant": (("--variant", ""), ["--variant is empty"]),
    "the same variant twice": ((*GOOGLENET, *GOOGLENET), ["googlenet is given twice", "@PATH.KEY=NUMBER"]),
    "the same change twice": (
        ("--variant", "googlenet@conv1.out=32") * 2,
        ["googlenet@conv1.conv.out=32 is given twice"],
    ),
    "two numbers for a key": (("googlenet@conv1.out=32,conv1.out=64",), ["conv1.out", "32", "64"]),
    "a batch of 4400 digits": ((*GOOGLENET, "--batch", "9" * 4400), ["--batch", "9999"]),
    "a limit that is no number": (("--model", "net.py:Net", "--timeout", "nan"), ["--timeout", "nan"]),
    "the same by --set": (
        (*GOOGLENET, "--variant", "googlenet@conv1.out=32", "--set", "conv1.out=32"),
        ["googlenet@conv1.conv.out=32 is given twice"],
    ),
    "a comma at the end of names": (("--variant", "googlenet,"), ["empty name", "'googlenet,'"]),
    "no model": (("--train",), ["a model", "analyze --help"]),
    "a variant without its value": (("--variant",), ["--variant", "requires an argument"]),
    # Sizes
    "an input of two sizes": ((*GOOGLENET, "--input", "3x224"), ["CHANNELSxHEIGHTxWIDTH", "such as 3x320x320"]),
    "an input of four sizes": ((*GOOGLENET, "--input", "2x3x224x224"), ["CHANNELSxHEIGHTxWIDTH", "without the batch"]),
    "a size of zero": ((*GOOGLENET, "--input", "3x0x224"), ["'3x0x224'", "at least 1"]),
    "no channels": ((*GOOGLENET, "--input", "0x224x224"), ["'0x224x224'", "at least 1"]),
    "a negative size": ((*GOOGLENET, "--input", "3x-224x224"), ["'3x-224x224'"]),
    "too small": ((*GOOGLENET, "--input", "3x1x1"), ["googlenet.pool1", "3x1x1", "3x3 window does not fit"]),
    "too small for alexnet": (
        ("--variant", "alexnet", "--input", "3x8x8"),
        ["alexnet.conv1", "11x11 window does not fit 8x8"],
    ),
    "too flat": ((*GOOGLENET, "--input", "3x224x4"), ["googlenet.", "window does not fit"]),
    "too small for the heads": ((*GOOGLENET, "--input", "3x32x32", "--train"), ["googlenet.aux1.pool", "5x5 window"]),
    "a batch of zero": ((*GOOGLENET, "--batch", "0"), ["--batch", "0"]),
    "a batch of words": ((*GOOGLENET, "--batch", "many"), ["--batch", "'many'"]),
    "a huge batch": ((*GOOGLENET, "--batch", HUGE), ["--batch", HUGE]),
    # Settings
    "a setting to a word": ((*GOOGLENET, "--set", "conv1.out=many"), ["'conv1.out=many'"]),
    "a setting without a variant": (
        ("--model", "torch.nn:Identity", "--set", "conv1.out=32"),
        ["--set", "give --variant NAME with it"],
    ),
    "a setting to zero": ((*GOOGLENET, "--set", "conv1.out=0"), ["'conv1.out=0'", "at least 1"]),
    "an unknown key": (
        (*GOOGLENET, "--set", "inception_4a.reduce_7x7=3"),
        ["'inception_4a.reduce_7x7'", "inception_4a.out_1x1", "inception_4a.reduce_5x5", "inception_4a.pool_proj"],
    ),
    "an unknown row": ((*GOOGLENET, "--set", "inception_9a.reduce_5x5=3"), ["'inception_9a.reduce_5x5'", "nearest: "]),
    "a key that none has": (
        (*GOOGLENET, "--variant", "vgg16", "--set", "fc9.out=3"),
        ["'fc9.out'", "googlenet, vgg16", "fc"],
    ),
    "a key that the variant lacks": (
        ("--variant", "googlenet-naive@inception_4a.reduce_5x5=3"),
        ["'inception_4a.reduce_5x5'", "googlenet-naive", "inception_4a.out_5x5"],
    ),
    "groups of the inputs only": (
        (*GOOGLENET, "--set", "conv2.groups=5"),
        ["googlenet.conv2.conv", "groups=5", "64", "192", "divisor of 64"],
    ),
    "groups of the outputs only": ((*GOOGLENET, "--set", "conv1.groups=2"), ["googlenet.conv1.conv", "groups=2"]),
    "outputs that groups do not divide": (("--variant", "alexnet", "--set", "conv2.out=255"), ["groups=2", "255"]),
    "a stride that leaves no pixels": (
        (*GOOGLENET, "--set", "conv1.stride=500"),
        ["googlenet.pool1", "window does not fit"],
    ),
    # Modules
    "an unknown module": ((*GOOGLENET, "--module", "inception_4f"), ["'inception_4f'", "googlenet", "inception_4"]),
    "an empty module": ((*GOOGLENET, "--module", ""), ["--module is empty"]),
    "an empty value after =": ((*GOOGLENET, "--module="), ["--module is empty"]),
    "an empty name": (("",), ["argument is empty"]),
    "an empty base of a check": (("check", *GOOGLENET, "--base", ""), ["--base is empty"]),
    "one file for two outputs": (("check", *GOOGLENET, "--junit", "a", "-o", "./a"), ["--junit and -o", "same file"]),
    "a device as a baseline": (("check", *GOOGLENET, "--baseline", "/dev/zero"), ["larger than"]),
    "a head at inference": ((*GOOGLENET, "--module", "aux1"), ["'aux1'"]),
    "a module that none has": ((*GOOGLENET, "--variant", "nin", "--module", "fc6"), ["'fc6'", "googlenet, nin"]),
    # Options
    "two modes": ((*GOOGLENET, "--train", "--mode", "inference"), ["--train", "--mode inference", "give one"]),
    "an unknown mode": ((*GOOGLENET, "--mode", "train"), ["--mode", "'train'", "training"]),
    "an unknown metric": ((*GOOGLENET, "--metric", "time"), ["--metric", "'time'", "macs"]),
    "an unknown format": ((*GOOGLENET, "--format", "html"), ["--format", "'html'", "latex"]),
    "an unknown counter": ((*GOOGLENET, "--counter", "fvcore"), ["--counter", "'fvcore'", "dispatch"]),
    "a depth of zero": ((*GOOGLENET, "--depth", "0"), ["--depth", "0"]),
    "a depth without end": ((*GOOGLENET, "--depth", "99"), ["--depth", "99"]),
    "an unknown option": ((*GOOGLENET, "--verfy"), ["--verfy", "--verify", "analyze --help"]),
    "an option of other programs": ((*GOOGLENET, "--json"), ["--json", "write --format json;"]),
    "another name of an option": ((*GOOGLENET, "--batch-size", "8"), ["write --batch N;"]),
    "a value for a flag": ((*GOOGLENET, "--train=yes"), ["--train", "analyze --help"]),
    # Commands
    "an unknown model": (("googlnet",), ["'googlnet'", "googlenet", "analyze list"]),
    "a file that does not exist": (("nope.py",), ["no file nope.py"]),
    "a name that is too long for a file": (("llm", "x" * 1000), ["no language model 'xxx"]),
    "an empty name among models": (("googlenet,,nin",), ["empty name", "'googlenet,,nin'"]),
    "options before a command": ((*GOOGLENET, "list"), ["options of analyze list go after its name"]),
    "a format before a command": (("--format", "json", "list"), ["options of analyze list go after its name"]),
    "an argument too many": (("list", "googlenet"), ["googlenet", "analyze list --help"]),
    "an option of another command": (("list", *GOOGLENET), ["--variant", "analyze list --help"]),
}


@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_one_line_and_exit_2(refused, case):
    arguments, words = CASES[case]
    message = refused(*arguments)
    for word in words:
        assert word in message
    if arguments[:2] == GOOGLENET and "list" not in arguments:
        assert refused("-o", "out", *arguments) == message


@pytest.mark.parametrize("form", ["table", "json", "csv", "md", "latex"])
def test_bad_input_is_the_same_in_every_format(refused, form):
    assert refused(*GOOGLENET, "--format", form, "--module", "nope") == refused(*GOOGLENET, "--module", "nope")


# Networks too large for torch: exit status 3, still in one line


@pytest.mark.parametrize(
    "job",
    [
        ("--counter", "dispatch", "--input", "3x999999x999999", "--batch", "1000000"),
        ("--counter", "dispatch", "--set", "conv1.kernel=999999999"),
        ("--verify", "--set", "conv1.kernel=999999999"),
    ],
)
def test_a_network_too_large_for_torch_gives_no_traceback(refused, job):
    message = refused(*GOOGLENET, *job, status=3)
    assert "googlenet" in message


def test_the_closed_form_counts_a_network_too_large_for_torch(analyze):
    assert analyze(*GOOGLENET, "--input", "3x999999x999999", "--batch", "1000000").status == 0


# Hostile names in every place where a name is accepted


@pytest.mark.parametrize("name", HOSTILE.values(), ids=list(HOSTILE))
@pytest.mark.parametrize(
    "place",
    [
        ("--variant", "{}"),
        ("--variant", "googlenet@{}"),
        ("--variant", "googlenet@{}.out=3"),
        (*GOOGLENET, "--set", "{}"),
        (*GOOGLENET, "--set", "{}.out=3"),
        (*GOOGLENET, "--set", "conv1.{}=3"),
        (*GOOGLENET, "--input", "{}"),
        (*GOOGLENET, "--batch", "{}"),
        (*GOOGLENET, "--module", "{}"),
        (*GOOGLENET, "--metric", "{}"),
        (*GOOGLENET, "--format", "{}"),
        (*GOOGLENET, "--mode", "{}"),
        (*GOOGLENET, "--{}"),
        (*GOOGLENET, "-o", "missing/{}"),
        ("{}",),
        ("list", "{}"),
    ],
    ids=" ".join,
)
def test_a_hostile_name_is_escaped_in_an_error(refused, name, place):
    refused(*(part.replace("{}", name) for part in place))


def test_a_hostile_name_is_escaped_once(refused):
    assert r"'a\nb\x1b[31m'" in refused("--variant", "a\nb\x1b[31m")


@pytest.mark.parametrize("name", ["reports.py", "reports/__init__.py"])
def test_a_users_reports_module_does_not_shadow_ours(name, process, tmp_path):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("raise ImportError('the wrong reports')", encoding="utf-8")
    assert process("--variant", "nin").status == 0


@pytest.mark.parametrize("asked", ["x", "bash", "bash_install", "tcsh_source"])
def test_a_shell_completion_that_does_not_exist(refused, monkeypatch, asked):
    """click would end with status 0 and run no check."""
    monkeypatch.setenv("_ANALYZE_COMPLETE", asked)
    assert asked in refused("check")


def test_a_very_long_value_is_shortened(refused):
    message = refused("list", "-o", "a" * 5000 + "z")
    assert len(message) < 600
    assert "z" in message
