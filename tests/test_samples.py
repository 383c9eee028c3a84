"""The samples to copy: job scripts of batch systems, and recipes of containers."""

import json
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROJECT = (ROOT / "pyproject.toml").read_text()
RECIPES = ["docker/Dockerfile", "docker/cuda.Dockerfile", "docker/dtrain.def"]


def test_mpijob_starts_a_launcher_and_workers():
    yaml = pytest.importorskip("yaml")
    job = yaml.safe_load((ROOT / "launch" / "mpijob.yaml").read_text())
    claim = yaml.safe_load((ROOT / "launch" / "runs-volume.yaml").read_text())
    assert (job["apiVersion"], job["kind"]) == ("kubeflow.org/v2beta1", "MPIJob")
    assert job["metadata"] == {"generateName": "dtrain-"}  # the file can be started twice
    replicas = job["spec"]["mpiReplicaSpecs"]
    assert set(replicas) == {"Launcher", "Worker"}
    pods = {name: spec["template"]["spec"] for name, spec in replicas.items()}
    [launcher], [worker] = (pods[name]["containers"] for name in ("Launcher", "Worker"))
    assert launcher["command"] == ["dtrain", "run", "--hostfile", "/etc/mpi/hostfile"]
    assert worker["command"][0] == "/usr/sbin/sshd"
    assert launcher["image"] == worker["image"]
    volumes = {volume["name"]: volume for volume in pods["Worker"]["volumes"]}
    mounts = {mount["mountPath"]: mount["name"] for mount in worker["volumeMounts"]}
    assert volumes[mounts["/dev/shm"]]["emptyDir"]["medium"] == "Memory"
    # checkpoints outlive the pods, and a launcher that is started again finds its own
    name = volumes[mounts["/runs"]]["persistentVolumeClaim"]["claimName"]
    assert (claim["metadata"]["name"], claim["spec"]["accessModes"]) == (name, ["ReadWriteMany"])
    assert "--out=/runs/digits" in launcher["args"]
    assert [variable["name"] for variable in launcher["env"]] == ["DTRAIN_JOB"]


@pytest.fixture
def slurm(tmp_path):
    """Starts launch/slurm.sbatch with a job that ends by a signal, with a status; what it says."""
    (tmp_path / "launch").mkdir()
    job = tmp_path / "launch" / "mpirun.sh"
    requeue = tmp_path / "scontrol"
    requeue.write_text('#!/bin/sh\necho "scontrol $*"\n')

    def run(number, status):
        job.write_text(
            "#!/bin/bash\ntrap 'got=USR1' USR1\ntrap 'got=TERM' TERM\n"
            'echo "$DTRAIN_JOB $*"\nfor _ in {1..1500}; do [ -z "$got" ] && sleep 0.02; done\n'
            f'echo "$got"\nexit {status}\n'
        )
        for path in (job, requeue):
            path.chmod(0o755)
        environ = {"SLURM_SUBMIT_DIR": str(tmp_path), "SLURM_JOB_ID": "7", "SLURM_NTASKS": "8"}
        with subprocess.Popen(
            ["bash", ROOT / "launch" / "slurm.sbatch", "train.py"], text=True,
            stdout=subprocess.PIPE, env=os.environ | environ | {"PATH": f"{tmp_path}:/usr/bin:/bin"},
        ) as process:  # fmt: skip
            begun = process.stdout.readline()
            assert begun == "slurm-7 -n 8 --threads 1 train.py\n"
            process.send_signal(number)
            out = process.stdout.read()
        return process.returncode, out.split("\n")[:-1]

    return run


@pytest.mark.parametrize(
    ("number", "status", "said"),
    [
        (signal.SIGUSR1, 75, ["USR1", "scontrol requeue 7"]),  # the time is over: a checkpoint
        (signal.SIGUSR1, 0, ["USR1"]),  # the job came to its end meanwhile
        (signal.SIGUSR1, 1, ["USR1"]),  # or failed
        (signal.SIGTERM, 75, ["TERM"]),  # scancel
    ],
)
def test_slurm_requeues_a_job_that_has_stopped_with_a_checkpoint(slurm, number, status, said):
    assert slurm(number, status) == (status, said)


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_of_containers_copy_and_install_what_there_is(name):
    text = (ROOT / name).read_text()
    copied = re.findall(r"^COPY (.*) \S+$", text, re.MULTILINE)
    copied += re.findall(r"^    (\S+) /opt/dtrain\S*$", text, re.MULTILINE)
    sources = " ".join(copied).split()
    assert {"pyproject.toml", "README.md", "LICENSE", "dtrain", "examples"} <= set(sources)
    assert [source for source in sources if not (ROOT / source).exists()] == []
    [extras] = re.findall(r"\[((?:\w+,)+\w+)\]'", text)
    assert [e for e in extras.split(",") if not re.search(rf"^{e} = \[", PROJECT, re.M)] == []
    assert "mpi" in extras
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert [s for s in sources if f"!{s.partition('/')[0]}" not in ignored] == []


def test_the_dev_container_runs_targets_that_there_are():
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())
    [target] = re.findall(r"make (\w+)", container["postCreateCommand"])
    assert f"\n{target}:" in (ROOT / "Makefile").read_text()
    [extras] = re.findall(r"\.\[(.*)\]", container["postCreateCommand"])
    assert [e for e in extras.split(",") if f"\n{e} = [" not in PROJECT] == []
