"""Everything here runs on CuPy: on a GPU where there is one, else on host memory (tests/hostcuda).

HOSTCUDA_LAZY=1 lets the work of a stream wait until something asks for it: a forgotten wait shows;
HOSTCUDA_LAZY=default that of the default stream alone, so that other streams run before it.
HOSTCUDA_DEVICES is how many GPUs there are on host memory.
HOSTCUDA_EVERY_SAMPLE=1 runs each row of the table on all of its shapes, as on a GPU, not on its
first alone: compiling kernels takes time.
"""

import collections
import importlib.util
import os
import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "hostcuda"))
import hostcuda

ON_GPU = hostcuda.has_gpu()
if importlib.util.find_spec("cupy") is None:
    REASON = "CuPy is not installed: pip install 'dtrain[cuda]'"
else:
    REASON = None if ON_GPU else hostcuda.why_not()
HOSTED = REASON is None and not ON_GPU
EVERY_SAMPLE = not HOSTED or os.environ.get("HOSTCUDA_EVERY_SAMPLE") == "1"
if HOSTED:  # now, before a test module imports cupy
    hostcuda.install(
        lazy={"1": True, "default": "default"}.get(os.environ.get("HOSTCUDA_LAZY", ""), False),
        devices=int(os.environ.get("HOSTCUDA_DEVICES", "1")),
    )


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("gpu")
            if ON_GPU:  # CuPy warns of what a card or its driver lacks
                item.add_marker(pytest.mark.filterwarnings("default"))


def pytest_report_header():
    return "cupy: " + (REASON or ("a GPU" if ON_GPU else "host memory (hostcuda), no GPU"))


@pytest.fixture(autouse=True)
def nothing_a_gpu_would_refuse():
    if REASON:
        pytest.skip(REASON)
    if HOSTED:
        hostcuda.reset()
    yield
    if HOSTED:
        assert hostcuda.counters()["violations"] == 0, hostcuda.violations()
        assert hostcuda.counters()["float_atomics"] == 0, hostcuda.launch_names()


@pytest.fixture
def counts():
    """Gives the launches by name since it was asked last."""
    if not HOSTED:
        pytest.skip("launches are counted on host memory only")

    def since_last():
        names = collections.Counter(hostcuda.launch_names())
        hostcuda.reset()
        return names

    return since_last


@pytest.fixture
def copies():
    """Gives the copies (to the device, to the host) since it was asked last."""
    if not HOSTED:
        pytest.skip("copies are counted on host memory only")

    def since_last():
        counters = hostcuda.counters()
        hostcuda.reset()
        assert counters["violations"] == 0
        return counters["h2d"], counters["d2h"]

    since_last()
    return since_last


@pytest.fixture
def run_job(run_python):
    """Runs bodies of a script of this folder, on_ranks.py, on so many ranks."""
    bin_folder = str(Path(sys.executable).parent)
    if not shutil.which("mpirun", path=bin_folder + os.pathsep + os.environ["PATH"]):
        pytest.skip("no mpirun")

    def run(size, *bodies, script="on_ranks.py", options=(), **environ):
        import dtrain  # after CuPy is put on host memory

        if not HOSTED and dtrain.cuda.device_count() < size:
            pytest.skip(f"NCCL needs a GPU for each of the {size} ranks")
        path = Path(__file__).with_name(script)
        return run_python("-m", "dtrain.cli", "run", "-n", size, *options, path, *bodies, **environ)

    return run


@pytest.fixture
def run_on_ranks(run_job):
    """Runs bodies of a script on so many ranks; gives what they wrote on stderr."""

    def run(size, *bodies, **options):
        job = run_job(size, *bodies, **options)
        assert f"passed on {size} ranks" in job.stdout, job.stderr
        return job.stderr

    return run
