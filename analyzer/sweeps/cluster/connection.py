"""The connection to a Dask scheduler, or to one that is started here with its workers: `local:4`."""

from __future__ import annotations

import logging
import re
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

from analyzer.core.errors import AnalyzerError, CannotMeasure, error_text, one_line, quoted

if TYPE_CHECKING:
    from distributed import Client

CONNECT_S = 10.0
GRACE_S = 1.0
CLOSE_S = 5.0
CERTIFICATES = "give Dask's configuration certificates, distributed.comm.tls"
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
            cluster = LocalCluster(
                n_workers=int(local[1]),
                threads_per_worker=1,
                processes=True,
                dashboard_address="127.0.0.1:0",  # Dask answers there even without the dashboard.
                scheduler_kwargs={"dashboard": False},
                silence_logs=logging.CRITICAL,
                preload=["analyzer.sweeps.cluster.dask_worker_start"],
            )
            stack.callback(cluster.close, timeout=CLOSE_S)
            scheduler = cluster.scheduler_address
        client, warned = _client(Client, scheduler, address, limit_s)
        stack.callback(_close, client)
        if warned:
            notify("this machine, the scheduler and the workers have different versions of Dask or Python")
        yield client


def _client(start: Callable[..., Client], scheduler: str, address: str, limit_s: float) -> tuple[Client, bool]:
    """The client, and whether versions of Dask or Python differ."""
    results: list[Client | Exception] = []

    def connect() -> None:
        try:
            results.append(start(scheduler, timeout=limit_s, set_as_default=False))
        except Exception as error:
            results.append(error)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        # Dask's time limit does not end if another program listens there. A daemon does not keep the program alive.
        thread = threading.Thread(target=connect, daemon=True)
        thread.start()
        thread.join(limit_s + GRACE_S)
    result = results[0] if results else TimeoutError()
    if isinstance(result, OSError | TimeoutError):
        raise CannotMeasure(
            f"no Dask scheduler answers at {one_line(address)} within {limit_s:g} s; start it with `dask scheduler`, "
            "or check the address"
        ) from None
    if isinstance(result, Exception):
        advice = f"; {CERTIFICATES}" if "ssl_context" in str(result) else ""
        raise CannotMeasure(
            f"cannot connect to {one_line(address)}: {type(result).__name__}: {error_text(result)}{advice}"
        ) from None
    return result, any("ismatched versions" in str(warning.message) for warning in caught)


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
