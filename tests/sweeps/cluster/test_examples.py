"""The examples: what they submit, and the same sweep with this machine in the place of the service."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from textwrap import indent
from types import ModuleType
from typing import Any

import pytest

from analyzer.database.store import open_store
from tests.sweeps.cluster.fleets import Fleet

distributed = pytest.importorskip("distributed")
EXAMPLES = Path(__file__).parents[3] / "examples" / "cluster"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def stored(path: Path) -> list[tuple[str, int]]:
    with open_store(str(path)) as store:
        return sorted((row["status"], row["batch"]) for row in store.select())


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:/usr/bin:/bin")
    return tmp_path / "results.sqlite"


SWEEP = ["nin", "--batch", "1,2", "--store"]


def test_slurm_gives_each_worker_a_node_of_its_own() -> None:
    pytest.importorskip("dask_jobqueue")
    with load("slurm").cluster() as cluster:
        script = cluster.job_script()
    lines = [line for line in script.splitlines() if line.startswith("#SBATCH")]
    assert lines == [
        "#SBATCH -J dask-worker", "#SBATCH -p benchmark", "#SBATCH -n 1", "#SBATCH --cpus-per-task=32",
        "#SBATCH --mem=60G", "#SBATCH -t 02:00:00", "#SBATCH --exclusive",
    ]  # fmt: skip
    assert script.index("source ~/macscope/bin/activate") < script.index("distributed.cli.dask_worker tcp://")
    assert "--nthreads 1 " in script


SLURM = """
from dask_jobqueue.local import LocalCluster
example.cluster = lambda: LocalCluster(
    cores=1, processes=1, memory="1GB", scheduler_options={"dashboard_address": ":0"},
    worker_extra_args=["--no-dashboard"],
)
status = example.main()
"""


def run_example(name: str, program: str, *arguments: str) -> None:
    """Runs `program` in a process of its own, which may leave warnings, with the module as `example`."""
    server = "from tests.sweeps.cluster.ssh_server import ssh_server\n" if name == "ssh" else ""
    code = (
        "import sys\nfrom pathlib import Path\nfrom tests.sweeps.cluster.test_examples import load\n"
        f"{server}if __name__ == '__main__':\n    example = load({name!r})\n"
        f"{indent(program, '    ')}    sys.exit(status)"
    )
    environment = {**os.environ, "PYTHONPATH": str(EXAMPLES.parents[1])}
    command = [sys.executable, "-c", code, *arguments]
    outcome = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert outcome.returncode == 0, outcome.stderr


@pytest.mark.slow
def test_slurm_jobs_are_submitted_when_cases_wait(place: Path) -> None:
    """Jobs are processes of a shell here; there is none before the sweep begins."""
    pytest.importorskip("dask_jobqueue")
    run_example("slurm", SLURM, *SWEEP, str(place))
    assert stored(place) == [("ok", 1), ("ok", 2)]


def kubernetes() -> list[dict[str, Any]]:
    import yaml

    return list(yaml.safe_load_all((EXAMPLES / "kubernetes.yml").read_text()))


def test_kubernetes_uses_one_image_and_places_workers_alone() -> None:
    pytest.importorskip("yaml")
    cluster, scaler, job = kubernetes()
    name = cluster["metadata"]["name"]
    pods = [cluster["spec"]["worker"]["spec"], cluster["spec"]["scheduler"]["spec"], job["spec"]["template"]["spec"]]
    assert len({container["image"] for pod in pods for container in pod["containers"]}) == 1
    rule = pods[0]["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][0]
    assert rule["labelSelector"]["matchLabels"]["dask.org/cluster-name"] == name == scaler["spec"]["cluster"]
    resources = pods[0]["containers"][0]["resources"]
    assert resources["requests"] == resources["limits"]
    # The operator names the service of the scheduler so.
    assert f"tcp://{name}-scheduler:8786" in pods[2]["containers"][0]["args"]


@pytest.mark.slow
def test_kubernetes_commands_run_a_sweep(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands of the containers, with the addresses and names that the operator gives them."""
    pytest.importorskip("yaml")
    cluster, _, job = kubernetes()
    parts = cluster["spec"]["scheduler"], cluster["spec"]["worker"], job["spec"]["template"]
    commands = [part["spec"]["containers"][0]["args"] for part in parts]
    assert [command[:2] for command in commands] == [["dask", "scheduler"], ["dask", "worker"], ["analyze", "sweep"]]
    (place.parent / "sweep.toml").write_text('models = ["nin"]\nbatch = [1, 2]\n')
    with Fleet(place.parent) as fleet:
        fleet.start_scheduler(*commands[0][2:])
        fleet.start_worker(*(text.replace("$(DASK_WORKER_NAME)", "worker-1") for text in commands[1][2:]))
        names = {"tcp://macscope-scheduler:8786": fleet.address, "/sweep/sweep.toml": "sweep.toml"}
        monkeypatch.setenv("ANALYZE_STORE", str(place))
        command = [names.get(text, text) for text in commands[2]]
        outcome = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert outcome.returncode == 0, outcome.stderr
    assert stored(place) == [("ok", 1), ("ok", 2)]


SSH = """
with ssh_server(Path.cwd()) as port:
    start = example.cluster
    example.cluster = lambda hosts: start(hosts, sys.executable, port=port, known_hosts=None)
    status = example.main()
"""


@pytest.mark.slow
def test_ssh_starts_scheduler_and_worker(place: Path) -> None:
    """Through a server on this machine."""
    pytest.importorskip("asyncssh")
    run_example("ssh", SSH, "127.0.0.1", *SWEEP, str(place))
    assert stored(place) == [("ok", 1), ("ok", 2)]
