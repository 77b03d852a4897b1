"""Asks workers to run a model's code: a connection to the fork server, and one worker at a time. Imports no torch."""

from __future__ import annotations

import atexit
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from analyzer.core.errors import AnalyzerError, CannotMeasure
from analyzer.core.signals import ignore_sigint
from analyzer.worker import fresh_interpreter, reply
from analyzer.worker.reply import Reply

LIMIT_S = 600.0
START_LIMIT_S = 180.0  # For importing torch on a busy machine.
EXIT_S = 5.0  # For whatever the model does at exit.
LENGTH_BYTES = 8
MAX_REPLY_BYTES = 1 << 26  # Of one line; a record of 10,000 operators has a tenth of it.
CAN_FORK = hasattr(os, "fork") and hasattr(socket, "send_fds")
PRELOAD = ("torch", "analyzer.counting.reference_task")
MAIN = f"from analyzer.worker.fork_server import main\nmain(int(sys.argv[1]), {list(PRELOAD)})"


class _Server:
    """The server's process, in a session of its own: Ctrl-C reaches only the command, which then closes it."""

    def __init__(self) -> None:
        self.used = False
        self.socket, theirs = socket.socketpair()
        with theirs, _standard_error() as errors:
            self.process = subprocess.Popen(
                [*fresh_interpreter.interpreter(MAIN), str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )

    def start_worker(self, task: str, printed: int | None) -> _Worker:
        self.process.send_signal(signal.SIGCONT)  # A model may have stopped the server.
        ours, channel = socket.socketpair()
        life, connection = socket.socketpair()
        with channel, connection, _standard_error(printed) as errors:
            header = {"task": task, "folder": _folder(), "path": sys.path, "environment": dict(os.environ)}
            try:
                self._send(header, [channel.fileno(), connection.fileno(), errors])
            except OSError:
                ours.close()
                life.close()
                raise
        return _Worker(ours, life)

    def preload(self, packages: Sequence[str]) -> None:
        self._send({"preload": list(packages), "path": sys.path}, [])

    def _send(self, header: Mapping[str, Any], descriptors: Sequence[int]) -> None:
        data = json.dumps(header).encode()
        socket.send_fds(self.socket, [len(data).to_bytes(LENGTH_BYTES, "big")], descriptors)
        self.socket.sendall(data)

    def close(self) -> None:
        self.socket.close()
        try:
            # The server ends what a killed keeper left. Without a worker, it may still be importing torch.
            self.process.wait(EXIT_S if self.used else 0)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


@contextmanager
def _standard_error(given: int | None = None) -> Iterator[int]:
    """A copy of the given descriptor or of that of standard error; the null device if it is closed."""
    try:
        descriptor = os.dup(2 if given is None else given)
    except OSError:
        descriptor = os.open(os.devnull, os.O_WRONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _folder() -> str:
    try:
        return str(Path.cwd())
    except OSError:
        raise AnalyzerError("the current folder does not exist any more") from None


class _Connection:
    """The lines of JSON that arrive at a socket, without waiting for them."""

    def __init__(self, socket: socket.socket) -> None:
        self.socket, self.unread, self.open = socket, bytearray(), True

    def fileno(self) -> int:
        return self.socket.fileno()

    def lines(self) -> list[dict[str, Any]]:
        """The complete lines of what has arrived. Raises ValueError for one that is not a JSON object."""
        try:
            data = self.socket.recv(1 << 20)
        except ConnectionError:
            data = b""
        self.open = bool(data)
        self.unread += data
        if len(self.unread) > MAX_REPLY_BYTES:
            raise ValueError("a line too long for a reply")
        if b"\n" not in data:
            return []
        *complete, self.unread = self.unread.split(b"\n")
        lines = [json.loads(line) for line in complete]
        if not all(isinstance(line, dict) and isinstance(line.get("event"), str) for line in lines):
            raise ValueError("a line without an event")
        return lines


class _Worker:
    """The connections to a worker and to its keeper. `unkept`: the model has killed the keeper."""

    def __init__(self, channel: socket.socket, life: socket.socket) -> None:
        self.channel, self.life = _Connection(channel), _Connection(life)
        self.started = self.unkept = False

    def ask(self, request: Mapping[str, Any], limit_s: float) -> Reply:
        """The reply to a request. The time limit begins once the worker has started."""
        lines: list[dict[str, Any]] = []
        try:
            answer = self._ask(request, limit_s, lines)
        except (KeyError, TypeError, ValueError, RecursionError):  # The model wrote into the channel.
            answer = Reply((), "lost", "its reply cannot be read")
        except BaseException:
            with ignore_sigint():
                self.close(grace_s=0)
            raise
        if answer.end in ("lost", "hung"):
            self.close(grace_s=0)
        return answer

    def _ask(self, request: Mapping[str, Any], limit_s: float, lines: list[dict[str, Any]]) -> Reply:
        with suppress(OSError):  # A worker that has ended; its keeper reports that.
            self.channel.socket.sendall(json.dumps(request).encode() + b"\n")
        end = time.monotonic() + (limit_s if self.started else START_LIMIT_S)
        with selectors.DefaultSelector() as selector:
            selector.register(self.channel, selectors.EVENT_READ)
            selector.register(self.life, selectors.EVENT_READ)
            while ready := [key.fileobj for key, _ in selector.select(max(end - time.monotonic(), 0))]:
                if time.monotonic() > end + EXIT_S:
                    break  # The model writes into the channel without end.
                if self.channel in ready:
                    lines += self.channel.lines()
                    if answer := reply.finished(tuple(lines)):
                        return answer
                    if not self.channel.open:  # The worker is ending, or the model has closed the descriptor.
                        selector.unregister(self.channel)
                        end = min(end, time.monotonic() + EXIT_S)
                elif self.life in ready:
                    for line in self.life.lines():
                        if line["event"] == "ended":
                            return reply.lost(tuple(lines), line["status"])
                        self.started, end = True, time.monotonic() + limit_s
                    if not self.life.open:
                        self.unkept = True
                        return reply.lost(tuple(lines), None)
        return reply.hung(tuple(lines), limit_s) if self.channel.open else reply.lost(tuple(lines), None)

    def close(self, *, grace_s: float = EXIT_S) -> None:
        """Ends the worker and all of its processes; it has `grace_s` for whatever the model does at exit."""
        self.channel.socket.close()
        try:
            for limit_s in (grace_s, EXIT_S):
                end = time.monotonic() + limit_s
                with suppress(OSError, ValueError), selectors.DefaultSelector() as selector:
                    selector.register(self.life, selectors.EVENT_READ)
                    while self.life.open and selector.select(max(end - time.monotonic(), 0)):
                        self.life.lines()
                    self.life.socket.shutdown(socket.SHUT_WR)  # The keeper then kills the worker.
        finally:
            self.life.socket.close()


_server: _Server | None = None
_worker: tuple[object, _Worker] | None = None


def start() -> None:
    """Starts the server, which imports torch meanwhile; does nothing if it runs already."""
    global _server
    if _server is None and CAN_FORK:
        _server = _Server()
        atexit.register(_close_server)


def preload(packages: Sequence[str]) -> None:
    """Imports installed packages in the server, so that its workers need not import them each. Waits for nothing."""
    start()
    if _server is not None:
        with suppress(OSError):  # A server that has ended; the next worker reports that.
            _server.preload(packages)


def ask(task: str, request: Mapping[str, Any], limit_s: float, *, model: str, printed: int | None = None) -> Reply:
    """The reply of the model's worker to a request. What it prints goes to the descriptor `printed`, else to standard
    error.

    A model keeps its worker until another model is asked or `close` is called. Raises KeyboardInterrupt.
    """
    global _worker
    if not CAN_FORK:
        answer = fresh_interpreter.run(task, request, limit_s, path=sys.path, captured=printed is not None)
        if answer.end == "interrupted":
            raise KeyboardInterrupt
        return answer
    key = (task, model, _folder())
    if _worker is None or _worker[0] != key:
        close()
        _worker = (key, _start_worker(task, printed))
    try:
        answer = _worker[1].ask(request, limit_s)
    except BaseException:
        _note_start(_worker[1])
        _worker = None
        raise
    _note_start(_worker[1])
    if answer.end in ("lost", "hung"):
        (_, worker), _worker = _worker, None
        if worker.unkept:
            _close_server()  # It ends the processes that the killed keeper leaves.
    return answer


def _note_start(worker: _Worker) -> None:
    """Until a worker has started, the server may be importing torch and has nothing to end: `close` does not wait."""
    if _server is not None:
        _server.used |= worker.started


def _start_worker(task: str, printed: int | None) -> _Worker:
    """Starts a new server if the model before has killed the server."""
    for _ in range(2):
        start()
        assert _server is not None
        try:
            return _server.start_worker(task, printed)
        except ConnectionError:
            _close_server()
    raise CannotMeasure("the server of worker processes ended twice; does the model kill other processes?")


def close() -> None:
    """Ends the current worker; the server keeps running."""
    global _worker
    if _worker is not None:
        (_, worker), _worker = _worker, None
        worker.close()


def _close_server() -> None:
    global _server
    with ignore_sigint():  # A second Ctrl-C must not leave processes.
        close()
        if _server is not None:
            server, _server = _server, None
            server.close()
