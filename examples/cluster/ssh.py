"""Runs a sweep on machines that SSH reaches: python ssh.py node1,node2 sweep.toml

The scheduler runs on the first machine. Each has macscope in the folder of PYTHON. Needs asyncssh, and keys that ask
for no password.
"""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from distributed import SSHCluster

PYTHON = "~/macscope/bin/python"


def cluster(hosts: list[str], python: str = PYTHON, **connection: Any) -> SSHCluster:
    """`connection` are options of asyncssh, such as `username` and `known_hosts`."""
    return SSHCluster(
        [hosts[0], *hosts],
        connect_options=connection,
        remote_python=python,
        worker_options={"nthreads": 1},
        scheduler_options={"dashboard": False, "dashboard_address": ":0"},
    )


def main() -> int:
    hosts, *arguments = sys.argv[1:]
    with cluster(hosts.split(",")) as started:
        return subprocess.run(["analyze", "sweep", *arguments, "--cluster", started.scheduler_address]).returncode


if __name__ == "__main__":
    sys.exit(main())
