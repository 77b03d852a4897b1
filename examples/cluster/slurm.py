"""Runs a sweep on nodes of a SLURM cluster: python slurm.py sweep.toml --store postgresql://lab@db/history

Each job is a node without other jobs (`--exclusive`), on which one case is timed at a time. Jobs are submitted while
cases wait and end when none is left. Needs dask-jobqueue.
"""

from __future__ import annotations

import subprocess
import sys

from dask_jobqueue import SLURMCluster


def cluster() -> SLURMCluster:
    return SLURMCluster(
        queue="benchmark",
        walltime="02:00:00",
        cores=1,  # Threads of Dask: the number of cases that a node counts at once. Models use all processors.
        processes=1,
        job_cpu=32,
        memory="64GB",
        job_extra_directives=["--exclusive"],
        job_script_prologue=["source ~/macscope/bin/activate"],
        scheduler_options={"dashboard_address": ":0"},  # Several sweeps may be started on one login node.
        worker_extra_args=["--no-dashboard", "--lifetime", "110m", "--lifetime-stagger", "5m"],
    )


def main() -> int:
    with cluster() as started:
        started.adapt(minimum_jobs=0, maximum_jobs=10)
        return subprocess.run(["analyze", "sweep", *sys.argv[1:], "--cluster", started.scheduler_address]).returncode


if __name__ == "__main__":
    sys.exit(main())
