"""The commands of `analyze`, one per file. They import their jobs when they run, so that `--help` starts quickly."""

from analyzer.cli.commands.advise import advise
from analyzer.cli.commands.check import check
from analyzer.cli.commands.claims import check_claims
from analyzer.cli.commands.completion import completion
from analyzer.cli.commands.conventions import conventions
from analyzer.cli.commands.explain import explain
from analyzer.cli.commands.history import history
from analyzer.cli.commands.list import list_variants
from analyzer.cli.commands.llm import llm
from analyzer.cli.commands.machine import machine
from analyzer.cli.commands.reconcile import reconcile
from analyzer.cli.commands.report import report
from analyzer.cli.commands.scale import scale
from analyzer.cli.commands.sweep import sweep
from analyzer.cli.commands.time import time

COMMANDS = (
    list_variants,
    check_claims,
    time,
    advise,
    report,
    check,
    history,
    machine,
    reconcile,
    scale,
    sweep,
    explain,
    llm,
    conventions,
    completion,
)
