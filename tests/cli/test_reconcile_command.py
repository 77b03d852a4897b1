"""`analyze reconcile`: figures from real peers, every output format from prepared results, bad input."""

from __future__ import annotations

import csv
import io
import json

import pytest

from analyzer.cli.jobs import reconcile as job
from analyzer.reconcile.explain import explain
from analyzer.reconcile.peers import PEERS, PeerResult, PeerRow
from analyzer.records.record import Record
from analyzer.records.rows import Count, Row
from reports.formats.terminal import console, show
from reports.reconcile import tables

CORE = ("fvcore", "FlopCounterMode", "profiler")
GOOGLENET_MACS = 1_582_671_872
NETWORK = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        print("noise from the model")
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)

    def forward(self, x):
        print("more noise")
        return self.norm(self.conv(x))

class Crashing(Net):
    def forward(self, x):
        import os, sys
        if "analyzer.reconcile.adapters" in sys.modules:  # In a peer's process only, not where we count.
            os.abort()
        return super().forward(x)
"""
CONV = 4 * 6 * 6 * 3 * 9  # An image of 8 x 8 has 6 x 6 positions for a 3 x 3 window.
NET = ("reconcile", "--model", "net.py:Net", "--input", "3x8x8")


def core(*more: str) -> list[str]:
    return [part for name in (*CORE, *more) for part in ("--peer", name)]


def peers_of(text: str) -> dict[str, dict]:
    return {peer["peer"]: peer for peer in json.loads(text)["peers"]}


@pytest.fixture
def net(tmp_path, monkeypatch):
    (tmp_path / "net.py").write_text(NETWORK)
    monkeypatch.chdir(tmp_path)
    return tmp_path


# With real peers, in processes


@pytest.mark.slow
def test_googlenet(analyze):
    done = analyze("reconcile", "--variant", "googlenet", *core(), "--format", "json")
    assert (done.status, done.err) == (0, "")
    envelope = json.loads(done.out)
    assert (envelope["schema_version"], envelope["status"], envelope["model"]) == (2, "ok", "googlenet")
    assert envelope["ours"]["macs"] == GOOGLENET_MACS
    peers = peers_of(done.out)
    assert peers["FlopCounterMode"]["total"] == 2 * GOOGLENET_MACS
    assert peers["FlopCounterMode"]["causes"] == []
    # fvcore counts a MAC per input element of the last pool, 7 x 7 x 1024.
    assert peers["fvcore"]["difference"] == 7 * 7 * 1024
    (cause,) = peers["fvcore"]["causes"]
    assert cause == {
        **{"cause": "convention", "what": "counts pools", "op": "adaptive_avg_pool2d"},
        **{"macs": 7 * 7 * 1024, "rows": 1},
    }
    # To the profiler, LRN is multiplications and additions: one FLOP, or half a MAC, per element.
    elements = 64 * 56 * 56 + 192 * 56 * 56
    assert {cause["op"]: cause["macs"] for cause in peers["profiler"]["causes"]} == {
        "mul": elements,
        "add": elements / 2,
    }
    assert [peer["unexplained"] for peer in peers.values()] == [0, 0, 0]


def test_a_model_from_a_file(analyze, net):
    done = analyze(*NET, *core(), "--batch", "2", "--format", "json")
    assert done.status == 0
    peers = peers_of(done.out)
    assert peers["fvcore"]["macs"] == 2 * (CONV + 2 * 4 * 6 * 6)
    assert peers["FlopCounterMode"]["macs"] == peers["profiler"]["macs"] == 2 * CONV
    assert json.loads(done.out)["input"] == [[2, 3, 8, 8]]


@pytest.mark.slow
def test_crashed_peers_are_listed_and_exit_status_is_3_if_none_ran(analyze, net):
    done = analyze("reconcile", "--model", "net.py:Crashing", "--input", "3x8x8", *core(), "--format", "json")
    assert done.status == 3
    assert json.loads(done.out)["status"] == "failed"
    for peer in peers_of(done.out).values():
        assert (peer["status"], peer["macs"], peer["unexplained"]) == ("failed", None, None)
        assert peer["reason"].startswith("its process was killed by signal 6 (SIGABRT); ")


def test_an_exception_of_the_model_is_the_reason(analyze, net):
    (net / "net.py").write_text(NETWORK.replace("os.abort()", "raise ValueError('no such luck')"))
    done = analyze("reconcile", "--model", "net.py:Crashing", "--input", "3x8x8", "--peer", "fvcore")
    assert done.status == 3
    assert "fvcore: ValueError: no such luck" in " ".join(done.out.split())


# Every format, with prepared results


def prepared_results(peers, command, *, limit_s):
    """fvcore counts a norm, the profiler is a FLOP off, calflops crashes, the others are not installed."""
    results = {
        "fvcore": PeerResult(
            *("fvcore", "ok", "", "0.1"),
            CONV + 288,
            (PeerRow("conv", "conv", CONV), PeerRow("norm", "batch_norm", 288)),
        ),
        "FlopCounterMode": PeerResult(
            "FlopCounterMode", "ok", "", "2", 2 * CONV, (PeerRow("conv", "convolution", 2 * CONV),)
        ),
        "profiler": PeerResult("profiler", "ok", "", "2", 2 * CONV + 1, (PeerRow("conv", "conv2d", 2 * CONV + 1),)),
        "calflops": PeerResult("calflops", "failed", "crashed: SIGSEGV"),
    }
    return [results.get(peer.name, PeerResult(peer.name, "missing", "not installed")) for peer in peers]


@pytest.fixture
def prepared(net, monkeypatch):
    monkeypatch.setattr(job, "run_peers", prepared_results)


def test_json(analyze, prepared):
    envelope = json.loads(analyze(*NET, "--format", "json").out)
    assert envelope["status"] == "partial"
    assert list(peers_of(json.dumps(envelope))) == list(PEERS)
    assert {peer["status"] for peer in envelope["peers"]} == {"ok", "failed", "missing"}
    profiler = peers_of(json.dumps(envelope))["profiler"]
    assert (profiler["total"], profiler["macs"]) == (2 * CONV + 1, CONV + 0.5)
    assert profiler["unexplained"] == 0.5
    assert profiler["unexplained_rows"] == [{"path": "conv", "op": "conv2d", "macs": 0.5}]


def test_table(analyze, prepared):
    done = analyze(*NET)
    assert done.status == 0
    lines = [line.split() for line in done.out.splitlines()]
    assert ["FlopCounterMode", "7.776", "k", "2", "3.888", "k", "same", "agrees"] in lines
    assert ["fvcore", "4.176", "k", "1", "4.176", "k", "+288", "+7.4", "%", "counts", "norms"] in lines
    assert ["thop", "-", "-", "-", "not", "installed"] in lines
    assert ["calflops", "-", "-", "-", "failed"] in lines
    assert "calflops: crashed: SIGSEGV" in done.out
    assert ["counts", "norms", "+288", "1", "batch_norm"] in lines
    assert ["unexplained", "+0.5", "1"] in lines
    assert "profiler, unexplained: conv2d of conv +0.5" in done.out


def test_csv(analyze, prepared):
    lines = list(csv.DictReader(io.StringIO(analyze(*NET, "--format", "csv").out)))
    assert [line["cause"] for line in lines if line["peer"] == "fvcore"] == ["convention", "unexplained"]
    assert {line["status"] for line in lines if line["peer"] == "thop"} == {"missing"}
    (first, last) = (line for line in lines if line["peer"] == "fvcore")
    assert int(first["macs"]) - int(first["ours"]) == int(first["difference"]) == int(first["cause_macs"]) == 288
    assert last["cause_macs"] == "0"


@pytest.mark.parametrize(("form", "mark"), [("md", "| counts norms | +288 | 1 |"), ("latex", r"\bottomrule")])
def test_documents(analyze, prepared, form, mark):
    done = analyze(*NET, "--format", form)
    assert done.status == 0
    assert mark in done.out.replace("\u00a0", "").replace("|  ", "| ")


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_80_columns_show_every_figure(encoding):
    """The longest names and figures, also in ASCII."""
    long = "scaled_dot_product_attention"
    rows = tuple(
        Row(f"block.{n}", "", long, 1, ((9, 8, 7), (9, 6, 7)), ((9, 8, 7),), 0, 0, 0, 10**11, 3 * 10**11, 0, 0, 0)
        for n in range(12)
    )
    record = Record(
        "torchvision:a_model_with_a_long_name_16_224", ((1, 3, 224, 224),), "inference", Count("dispatch", rows)
    )
    explained = [PeerRow("norm", "batch_norm", 10**10), PeerRow("a", "relu", 5)]
    unexplained = [*explained, PeerRow("block.0", "bmm", 10**11 - 1)]
    explanations = [
        explain(
            PeerResult(name, "ok", "", "0.1.5.post2", sum(row.figure for row in rows_), tuple(rows_)), PEERS[name], rows
        )
        for name, rows_ in zip(PEERS, [explained, unexplained] * 4, strict=True)
    ]
    page = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    show(tables(record, explanations), console(page))
    page.seek(0)
    shown = page.read()
    assert max(map(len, shown.splitlines())) <= 80
    for words in ("counts norms", "unexplained -1", "skips attention", long):
        assert words in shown
    assert not {"~", "…", "\\"} & set(shown)


# Bad input


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "one model"),
        (("--variant", "nin", "--model", "net.py:Net"), "one model"),
        (("--variant", "nin,alexnet"), "one model"),
        (("--variant", "gogglenet"), "googlenet"),
        (("--variant", "nin", "--peer", "ptflop"), "nearest: ptflops"),
        (("--variant", "nin", "--input", "3x"), "malformed input"),
        (("--model", "absent.py:Net"), "no file absent.py"),
        (("--variant", "nin", "--batch", "0"), "--batch"),
    ],
)
def test_bad_input_is_one_line_and_status_2(analyze, arguments, words):
    done = analyze("reconcile", *arguments)
    assert (done.status, done.out) == (2, "")
    assert words in done.err
    assert done.err.count("\n") == 1


@pytest.fixture
def calls(net, monkeypatch):
    """The (peers, time limit) of every run; no peer is run."""
    calls = []

    def run_peers(peers, command, limit_s):
        calls.append(([peer.name for peer in peers], limit_s))
        return [PeerResult(peer.name, "missing", "not installed") for peer in peers]

    monkeypatch.setattr(job, "run_peers", run_peers)
    return calls


@pytest.mark.parametrize(
    ("options", "call"),
    [
        (("--peer", "THOP", "--peer", "flopcountermode", "--peer", "thop"), (["thop", "FlopCounterMode"], 300.0)),
        ((), (list(PEERS), 300.0)),
        (("--peer-timeout", "20"), (list(PEERS), 20.0)),
        (("--peer-timeout", "0"), (list(PEERS), None)),
        (("--no-timeout",), (list(PEERS), None)),
        (("--timeout-free",), (list(PEERS), None)),
    ],
)
def test_selected_peers_and_time_limit(analyze, calls, options, call):
    assert analyze(*NET, *options).status == 3
    assert calls == [call]
