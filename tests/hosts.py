"""Several hosts on one machine: network namespaces, joined by a switch through links of one rate.

A host has its own network, hostname, /etc/hosts and /dev/shm; cores and other files are shared.
Nothing of it is seen outside: several clusters may run at a time. A cluster, with all that runs
on it, ends with its `with`, or with the process, however that ends.

    with hosts(2, rate="1gbit") as cluster:
        cluster.run("--hosts", cluster.hosts(ranks=2), "script.py")
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).parent.parent
_TOOLS = ("ip", "mount", "nsenter", "tc", "unshare")
# A token bucket must hold the largest packet that is handed to a link at once, 64 KiB.
_QDISC = "root tbf burst 256kb latency 20ms rate"


def why_not() -> str | None:
    """Why hosts cannot be made here, if so."""
    if sys.platform != "linux":
        return f"namespaces are Linux's, this is {sys.platform}"
    if missing := [tool for tool in _TOOLS if shutil.which(tool) is None]:
        return f"not in PATH: {', '.join(missing)}"
    try:
        with hosts(1):
            return None
    except (OSError, RuntimeError) as error:
        return str(error)


@contextmanager
def hosts(count: int, rate: str = "1gbit") -> Iterator["Cluster"]:
    """Make `count` hosts, whose links carry `rate` (as tc writes it) in each direction."""
    with ExitStack() as stack:
        names = {f"10.0.0.{n}": f"host{n}" for n in range(1, count + 1)}
        switch = stack.enter_context(_host("switch", names))
        _inside(switch, "ip link add switch up type bridge")
        cluster = Cluster({a: stack.enter_context(_host(names[a], names)) for a in names})
        for port, (address, pid) in enumerate(cluster.pids.items(), start=1):
            _inside(
                switch,
                f"ip link add port{port} master switch up type veth peer eth0 netns {pid}",
                f"tc qdisc add dev port{port} {_QDISC} {rate}",
            )
            _inside(
                pid,
                f"ip address add {address}/24 dev eth0",
                "ip link set eth0 up",
                "ip link set lo up",
                f"tc qdisc add dev eth0 {_QDISC} {rate}",
            )
        yield cluster


class Cluster:
    """The hosts: `pids` has a process of each by its address."""

    def __init__(self, pids: dict[str, int]):
        self.pids = pids

    def hosts(self, ranks: int) -> str:
        """What `dtrain run --hosts` takes to start `ranks` ranks on each host."""
        return ",".join(f"{address}:{ranks}" for address in self.pids)

    def start(self, *words: object, cwd: Path | None = None, **environ: str) -> subprocess.Popen:
        """Start `dtrain run WORDS` on the first host."""
        agent = str(ROOT / "tests" / "ssh.sh")
        env = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "HOST_PIDS": " ".join(f"{address}={pid}" for address, pid in self.pids.items()),
            "PRTE_MCA_plm_ssh_agent": agent,
            "PRTE_MCA_prte_remote_tmpdir_base": "/dev/shm",  # what is left there ends with its host
            "HYDRA_LAUNCHER": "ssh",
            "HYDRA_LAUNCHER_EXEC": agent,
            "UCX_TLS": "tcp",  # MPICH's UCX sees one machine, and would go past the links
            **environ,
        }
        pid = next(iter(self.pids.values()))
        return subprocess.Popen(
            [*_enter(pid), "env", f"--chdir={cwd or Path.cwd()}",
             sys.executable, "-m", "dtrain.cli", "run", *map(str, words)],
            env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def run(self, *words: object, timeout_s: float = 300, **options) -> subprocess.CompletedProcess:
        """The finished `dtrain run WORDS` on the first host."""
        process = self.start(*words, **options)
        try:
            out, err = process.communicate(timeout=timeout_s)
        finally:
            process.kill()
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def bytes_sent(self) -> list[int]:
        """What each host has sent to the others so far."""
        show = "ip -json -statistics link show eth0"
        links = [json.loads(_inside(pid, show))[0] for pid in self.pids.values()]
        return [link["stats64"]["tx"]["bytes"] for link in links]


@contextmanager
def _host(name: str, names: dict[str, str]) -> Iterator[int]:
    """The id of a process, in namespaces of its own, that ends with this one and takes all along."""
    table = "".join(f"{a} {n}\n" for a, n in {"127.0.0.1": "localhost", **names}.items())
    process = subprocess.Popen(
        ["unshare", "--net", "--uts", "--mount", sys.executable, __file__, name, table],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # the terminal's Ctrl-C is not for it
    )
    try:
        if process.stdout.readline() != "ready\n":
            raise RuntimeError(f"no namespaces: {process.communicate()[1].strip()}")
        yield process.pid
    finally:
        _, errors = process.communicate()
    if errors:
        raise RuntimeError(f"{name} did not end well: {errors}")


def _be_host(name: str, table: str) -> None:
    """What `_host` starts: waits for the end of its input, then kills what runs on the host."""
    Path("/proc/sys/kernel/hostname").write_text(name)
    shm = Path("/dev/shm")
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", shm], check=True)
    (shm / "hosts").write_text(table)
    subprocess.run(["mount", "--bind", shm / "hosts", "/etc/hosts"], check=True)
    print("ready", flush=True)
    sys.stdin.read()
    deadline = time.monotonic() + 10
    while pids := _neighbours():
        if time.monotonic() > deadline:
            raise RuntimeError(f"processes of a host outlive SIGKILL: {pids}")
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)


def _neighbours() -> list[int]:
    """The other processes in this one's network."""
    network = os.readlink("/proc/self/ns/net")
    pids = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended
            if os.readlink(process / "ns" / "net") == network:
                pids.append(int(process.name))
    return [pid for pid in pids if pid != os.getpid()]


def _enter(pid: int) -> list[str]:
    return ["nsenter", "--target", str(pid), "--net", "--uts", "--mount"]


def _inside(pid: int, *commands: str) -> str:
    """Run commands where the process `pid` is; the output of the last."""
    for command in commands:
        words = [*_enter(pid), *command.split()]
        result = subprocess.run(words, capture_output=True, text=True)
        if result.returncode:
            raise RuntimeError(f"{command}: {result.stderr.strip()}")
    return result.stdout


if __name__ == "__main__":
    _be_host(*sys.argv[1:])
