"""A worker process of a local sweep: executes the cases that arrive on a connection and returns their rows."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Mapping
from contextlib import nullcontext
from multiprocessing.connection import Connection
from typing import Any

from analyzer.core.serialize import from_json
from analyzer.core.signals import termination_as_interrupt
from analyzer.records.run_files import journal
from analyzer.records.sweep_result import Case
from analyzer.sweeps.run_configuration import Limits, execute, no_journal
from analyzer.worker.linux import PR_SET_PDEATHSIG, set_process_option

READY = b"{}"


def main(descriptor: int, parent: int) -> None:
    """Serves until the other side closes the connection. Ends with its parent, also if that is killed."""
    set_process_option(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        return
    connection = Connection(descriptor)
    try:
        with termination_as_interrupt():
            connection.send_bytes(READY)
            while True:
                _serve(connection, json.loads(connection.recv_bytes()))
    except (EOFError, OSError, KeyboardInterrupt):
        return


def _serve(connection: Connection, request: Mapping[str, Any]) -> None:
    limits = from_json(Limits, request["limits"])

    def waiting(message: str) -> None:
        connection.send_bytes(json.dumps({"waiting": message}).encode())

    settings = {"run": request["run"], "retries": request["retries"], "limits": limits, "notify": waiting}
    for key, data in request["cases"]:
        case = from_json(Case, data)
        timed = "time" in case.measure
        with journal() if timed else nullcontext(no_journal) as keep:
            row = execute(case, key=key, journal=keep, **settings)
            try:
                send_row(connection, row)
                if timed:
                    connection.recv_bytes()  # From `Process.confirm`.
            except (EOFError, OSError):
                raise KeyboardInterrupt from None  # The other side may not have stored the row: the journal stays.


def send_row(connection: Connection, row: Mapping[str, Any]) -> None:
    """Two messages: the columns as JSON, and the record's text, which is long, as it is."""
    columns = {name: value for name, value in row.items() if name != "record"}
    connection.send_bytes(json.dumps({"row": columns}).encode())
    connection.send_bytes((row["record"] or "").encode())


def receive(connection: Connection) -> tuple[str, dict[str, Any]]:
    """The kind of a message, "ready", "waiting" or "row", and its content. Raises EOFError if the worker has ended."""
    message = json.loads(connection.recv_bytes())
    if "row" not in message:
        return ("waiting", message) if message else ("ready", message)
    record = connection.recv_bytes().decode()
    return "row", message["row"] | {"record": record or None}
