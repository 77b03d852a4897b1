"""Addresses, and schedulers that do not answer."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from analyzer.core.errors import AnalyzerError, CannotMeasure
from analyzer.sweeps.cluster.connection import connect
from tests.sweeps.cluster.fleets import Fleet

pytest.importorskip("distributed")


def never(message: str) -> None:
    raise AssertionError(message)


@pytest.mark.parametrize(
    "address", ["", "scheduler", "http://a:1", "local:0", "local:", "local:1000", "tcp://a", "tcp://"]
)
def test_a_bad_address_is_refused_at_once(address: str) -> None:
    with pytest.raises(AnalyzerError, match="wanted tcp://HOST:PORT") as caught, connect(address, never):
        pass
    assert caught.value.exit_status == 2


@pytest.mark.slow
@pytest.mark.parametrize("listens", [True, False], ids=["another program", "nothing"])
def test_a_scheduler_that_does_not_answer_in_time(listens: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        host, port = server.getsockname()
        if not listens:
            server.close()
        refused = pytest.raises(CannotMeasure, match="no Dask scheduler answers")
        with refused, connect(f"tcp://{host}:{port}", never, limit_s=0.5):
            pass


@pytest.mark.slow
def test_tls_takes_certificates_from_the_configuration_of_dask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    try:
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost",
             "-keyout", str(key), "-out", str(certificate)],
            check=True, capture_output=True,
        )  # fmt: skip
    except FileNotFoundError:
        pytest.skip("openssl is not installed")
    with pytest.raises(CannotMeasure, match="certificates"), connect("tls://127.0.0.1:1", never):
        pass
    program = """
import sys
from analyzer.sweeps.cluster.connection import connect
with connect(sys.argv[1], print) as client:
    print(client.scheduler_info()["type"])
"""
    for role in ("SCHEDULER", "CLIENT"):
        monkeypatch.setenv(f"DASK_DISTRIBUTED__COMM__TLS__{role}__CERT", str(certificate))
        monkeypatch.setenv(f"DASK_DISTRIBUTED__COMM__TLS__{role}__KEY", str(key))
    monkeypatch.setenv("DASK_DISTRIBUTED__COMM__TLS__CA_FILE", str(certificate))
    with Fleet(tmp_path) as fleet:
        fleet.start_scheduler("--protocol=tls", host="127.0.0.1")
        assert fleet.address.startswith("tls://")
        answer = subprocess.run([sys.executable, "-c", program, fleet.address], capture_output=True, text=True)
    assert answer.stdout == "Scheduler\n", answer.stderr
