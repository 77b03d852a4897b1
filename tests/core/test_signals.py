"""Ctrl-C can be ignored while results are kept, in any thread."""

from __future__ import annotations

import signal
import threading

import pytest

from analyzer.core.signals import ignore_sigint


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
