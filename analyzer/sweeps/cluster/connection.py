"""The connection to a Dask scheduler, or to one that is started here with its workers: `local:4`."""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

from analyzer.core.errors import AnalyzerError, CannotMeasure, error_text, one_line, quoted

if TYPE_CHECKING:
    from distributed import Client

CONNECT_S = 10.0
CLOSE_S = 5.0
MAX_LOCAL = 256
REMOTE = re.compile(r"(tcp|tls|ws|wss|ucx)://\S+:[0-9]{1,5}")
LOCAL = re.compile(r"local:([0-9]+)")


@contextmanager
def connect(address: str, notify: Callable[[str], None], *, limit_s: float = CONNECT_S) -> Iterator[Client]:
    """A client of the scheduler. `tls://` takes its certificates from Dask's configuration, `distributed.comm.tls`.

    Raises AnalyzerError for a bad address or if Dask is not installed, CannotMeasure if no scheduler answers in time.
    """
    local = LOCAL.fullmatch(address)
    if not (REMOTE.fullmatch(address) or (local and 1 <= int(local[1]) <= MAX_LOCAL)):
        raise AnalyzerError(
            f"cluster is {quoted(address)[:80]}; wanted tcp://HOST:PORT, tls://HOST:PORT or, for worker processes on "
            f"this machine, local:N with at most {MAX_LOCAL}"
        )
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise AnalyzerError(f"a cluster needs Dask ({error_text(error)}); pip install 'macscope[cluster]'") from None
    with ExitStack() as stack:
        stack.enter_context(_quiet())
        scheduler = address
        if local:
            # Without threads for other tasks and without the dashboard, which would open a port.
            cluster = LocalCluster(
                n_workers=int(local[1]), threads_per_worker=1, processes=True, dashboard_address=None,
                silence_logs=logging.CRITICAL,
            )  # fmt: skip
            stack.callback(cluster.close, timeout=CLOSE_S)
            scheduler = cluster.scheduler_address
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                client = Client(scheduler, timeout=limit_s, set_as_default=False)
        except (OSError, TimeoutError):
            raise CannotMeasure(
                f"no Dask scheduler answers at {one_line(address)} within {limit_s:g} s; start one with `dask "
                "scheduler`, or check the address"
            ) from None
        except Exception as error:  # No certificates for tls://, or another program listens there.
            raise CannotMeasure(
                f"cannot connect to {one_line(address)}: {type(error).__name__}: {error_text(error)}"
            ) from None
        stack.callback(_close, client)
        for warning in caught:
            if "Mismatched versions" in str(warning.message):
                notify("this machine, the scheduler and the workers have different versions of Dask or Python")
        yield client


def _close(client: Client) -> None:
    with suppress(OSError, TimeoutError, RuntimeError):  # The scheduler is lost already.
        client.close(timeout=CLOSE_S)


@contextmanager
def _quiet() -> Iterator[None]:
    """Dask's loggers print to the terminal what our messages say, with tracebacks."""
    logger = logging.getLogger("distributed")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)
