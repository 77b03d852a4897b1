"""Ctrl-C can be ignored while results are kept, in any thread; other signals interrupt as Ctrl-C does."""

from __future__ import annotations

import signal
import threading

import pytest

from analyzer.core.signals import ignore_sigint, termination_as_interrupt


@pytest.fixture(autouse=True)
def python_handles_sigint():
    """Libraries that other tests import, such as dask_jobqueue, replace the handler."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_a_second_interrupt_is_ignored_during_cleanup():
    finished = []
    with pytest.raises(KeyboardInterrupt):  # noqa: PT012 – the first interrupt, whatever comes during its cleanup
        try:
            signal.raise_signal(signal.SIGINT)
        finally:
            with ignore_sigint():
                signal.raise_signal(signal.SIGINT)
                finished.append(True)
    assert finished == [True]
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_in_another_thread_it_does_nothing():
    entered = []

    def enter():
        with ignore_sigint():
            entered.append(True)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert entered == [True]


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGQUIT"])
def test_a_signal_to_end_is_an_interrupt_unless_the_caller_ignores_it(name):
    number = getattr(signal, name)
    previous = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt), termination_as_interrupt():
        signal.raise_signal(number)
    assert signal.getsignal(number) == previous
    try:
        signal.signal(number, signal.SIG_IGN)
        with termination_as_interrupt():
            signal.raise_signal(number)
    finally:
        signal.signal(number, previous)
