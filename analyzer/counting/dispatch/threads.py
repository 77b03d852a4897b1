"""Tracks work that a pass gives to other threads, under the path of the module that started it.

Modes of torch belong to one thread, so a counter would miss the operators of other threads. Tasks of thread pools are
tracked in every thread. A thread is tracked if it starts during the pass; in an older thread only the model's modules
are tracked. Processes are not tracked: a note gives the module that started one.
"""

from __future__ import annotations

import _thread
import concurrent.futures.process
import concurrent.futures.thread
import multiprocessing.pool
import multiprocessing.process
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial, wraps
from typing import Any

import torch
from torch.overrides import _get_current_function_mode_stack, _pop_mode, _push_mode
from torch.utils import _python_dispatch

from analyzer.core.errors import AnalyzerError
from analyzer.counting.dispatch.patched_functions import Replacement, Replacements

# Threads of pools serve later passes too: their tasks are followed, not the threads.
POOLS = ("concurrent.futures.", "multiprocessing.")
JOIN_S = 5.0  # How long the end of a pass waits for a thread that the model started and did not join.
FOREIGN_S = 60.0  # How long a pass waits for a thread older than the pass, which may have ended with an error.


class Modes:
    """The modes of torch in the current thread, to be entered in another thread."""

    def __init__(self) -> None:
        self.inference, self.gradients = torch.is_inference_mode_enabled(), torch.is_grad_enabled()
        self.function_modes = _get_current_function_mode_stack()  # type: ignore[no-untyped-call]
        self.dispatch_modes = _python_dispatch._get_current_dispatch_mode_stack()

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Pushes the modes as they are: to enter an object such as FakeTensorMode again would change it."""
        with ExitStack() as stack:
            if self.inference:
                stack.enter_context(torch.inference_mode())
                stack.enter_context(torch.set_grad_enabled(self.gradients))
            for mode in self.function_modes:
                _push_mode(mode)  # type: ignore[no-untyped-call]
                stack.callback(_pop_mode)
            for mode in self.dispatch_modes:
                _python_dispatch._push_mode(mode)
                stack.callback(_python_dispatch._pop_mode)
            yield


def follow(tracker: Any) -> None:
    """From now on, tasks that the tracker's threads give to other threads are tracked too."""
    _replacements.add(tracker)


def end(tracker: Any) -> None:
    _replacements.remove(tracker)


def join(tracker: Any) -> None:
    """Waits for threads that the model started and did not join; notes a thread that ran operators and does not end."""
    for thread, calls, path in tracker.threads:
        if thread.is_alive() and (not thread.daemon or calls.rows):
            thread.join(JOIN_S)
        if thread.is_alive() and calls.rows:
            tracker.note(path, " starts a thread that outlives the pass, whose later operators are not counted")


def _followed(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function as a task of the passes in which the current thread takes part."""
    trackers = _replacements.here()
    return _task(function, [(tracker, tracker.new_task()) for tracker in trackers]) if trackers else function


def _task(function: Callable[..., Any], tasks: list[tuple[Any, Any]]) -> Callable[..., Any]:
    @wraps(function)
    def task(*args: Any, **kwargs: Any) -> Any:
        with ExitStack() as stack:
            innermost = tasks[-1][0]
            if innermost.local.calls is None:
                stack.enter_context(innermost.modes.entered())
            for tracker, calls in tasks:
                stack.callback(setattr, tracker.local, "calls", tracker.local.calls)
                tracker.local.calls = calls
            return function(*args, **kwargs)

    return task


def _start(start: Any) -> Any:
    def followed(thread: threading.Thread) -> None:
        trackers = _replacements.here()
        target = getattr(thread, "_target", None)
        if trackers and not getattr(target, "__module__", "").startswith(POOLS):
            tasks = [(tracker, tracker.new_task()) for tracker in trackers]
            run = _task(thread.run, tasks)

            def store_errors() -> None:
                try:
                    run()
                except Exception as error:  # The pass shall fail: Python would print the error and go on.
                    trackers[-1].thread_errors.append(error)

            thread.run = store_errors  # type: ignore[method-assign]
            for tracker, calls in tasks:
                tracker.threads.append((thread, calls, tracker.path))
        _starts.thread = True
        try:
            start(thread)
        finally:
            _starts.thread = False

    return followed


def _submit(submit: Any) -> Any:
    return lambda pool, function, /, *args, **kwargs: submit(pool, _followed(function), *args, **kwargs)


def _submit_function(start: Any) -> Any:
    return lambda function, *args: start(_followed(function), *args)


def _pool_method(method: Any) -> Any:
    """Wraps a method of `multiprocessing.pool.Pool`, whose subclass ThreadPool has threads."""

    def followed(pool: Any, function: Any, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(pool, multiprocessing.pool.ThreadPool):
            _note_process()
        elif method.__name__ == "apply_async":
            function = _followed(function)
        elif _replacements.here():
            items, *args = args  # type: ignore[assignment]
            several = multiprocessing.pool.starmapstar in args  # type: ignore[attr-defined]
            tasks = [partial(_followed(function), *(item if several else (item,))) for item in items]
            function, args = _call, ([(task,) for task in tasks] if several else tasks, *args)
        return method(pool, function, *args, **kwargs)

    return followed


def _call(task: Callable[[], Any]) -> Any:
    return task()


def _in_process(method: Any) -> Any:
    def noted(*args: Any, **kwargs: Any) -> Any:
        _note_process()
        return method(*args, **kwargs)

    return noted


def _note_process() -> None:
    for tracker in _replacements.here():
        tracker.note(tracker.path, " gives work to another process, which is not counted")


def _wait(wait: Any) -> Any:
    """Wraps a method of `threading.Condition`, on which queues and events wait."""

    def noted(condition: Any, timeout: float | None = None) -> bool:
        trackers = [] if getattr(_starts, "thread", False) else _replacements.here()
        if not trackers or any(tracker.tasks for tracker in trackers):
            return bool(wait(condition, timeout))
        notified = bool(wait(condition, FOREIGN_S if timeout is None else timeout))
        for tracker in trackers if notified else ():
            tracker.note(tracker.path, " waits for a thread older than the pass, in which only modules are counted")
        if timeout is not None:
            return notified
        if not notified:
            path = trackers[-1].path or "the model"
            raise AnalyzerError(f"{path} has waited {FOREIGN_S:.0f} s for another thread")
        return True

    return noted


def _all_replacements() -> Iterator[Replacement]:
    pool = multiprocessing.pool.Pool
    yield threading.Thread, "start", _start
    yield threading.Condition, "wait", _wait
    yield _thread, "start_new_thread", _submit_function
    yield concurrent.futures.thread.ThreadPoolExecutor, "submit", _submit
    yield concurrent.futures.Future, "add_done_callback", _submit
    yield concurrent.futures.process.ProcessPoolExecutor, "submit", _in_process
    yield multiprocessing.process.BaseProcess, "start", _in_process
    for name in ("apply_async", "_map_async", "imap", "imap_unordered"):
        yield pool, name, _pool_method


_replacements = Replacements(_all_replacements)
_starts = threading.local()  # Whether this thread starts another, and waits until it runs.
