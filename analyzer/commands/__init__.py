"""The commands of `analyze`, a file each; what is heavy is imported inside the command that needs it."""

from analyzer.commands.check import check
from analyzer.commands.claims import claims
from analyzer.commands.history import history
from analyzer.commands.list import list_variants
from analyzer.commands.machine import machine
from analyzer.commands.reconcile import reconcile
from analyzer.commands.report import report
from analyzer.commands.time import time

COMMANDS = (list_variants, claims, time, report, check, history, machine, reconcile)
