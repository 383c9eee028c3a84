"""Workers of a loader: the same batches as without them, and what is told when one fails."""

import collections
import gc
import os
import random
import re
import signal
import subprocess
import sys
import threading
from concurrent.futures import CancelledError
from multiprocessing import connection

import numpy as np
import pytest

import dtrain
from dtrain import distributed
from dtrain.data import DataLoader, Dataset, IterableDataset, get_worker_info
from dtrain.data.worker_options import WorkerOptions
from dtrain.data.workers import processes, thread_pool
from dtrain.data.workers.server import fork_server
from dtrain.distributed.context import process


class Drawing(Dataset):
    """Samples of several kinds, with random numbers from everywhere."""

    def __init__(self, size=22, late=0):
        self.size, self.late = size, late
        self.table = np.arange(40000.0)

    def __len__(self):
        return self.size

    def __getitem__(self, index):
        draws = [dtrain.rand(1).item()]
        if index >= self.late:
            draws += [random.random(), np.random.rand()]
        image = np.full((90, 90), self.table[index], np.float32)  # has a segment of its own
        return {
            "image": image,
            "draws": np.array(draws + [0.0] * (3 - len(draws))),
            "name": str(index),
        }


def plain(batch):
    if isinstance(batch, dtrain.Tensor):
        return batch.dtype, batch.shape, batch.numpy().tobytes()
    if isinstance(batch, dict):
        return [(key, plain(value)) for key, value in batch.items()]
    return [plain(part) for part in batch] if isinstance(batch, list) else batch


def epochs(dataset, count=2, **options):
    """Each epoch's batches on this rank."""
    dtrain.manual_seed(3)
    loader = DataLoader(dataset, 3, shuffle=True, seed=5, microbatches=4, **options)
    return [[plain(b) for step in loader.steps() for b in step] for _ in range(count)]


def test_processes_give_the_batches_of_none_on_any_number_of_ranks():
    dataset = Drawing()
    alone = epochs(dataset)
    for options in (
        {"num_workers": 1},
        {"num_workers": 4, "persistent_workers": True, "prefetch_factor": 1},
    ):
        assert epochs(dataset, **options) == alone

    told = distributed.run_ranks(2, epochs, dataset, num_workers=2)
    assert [sorted(a + b, key=str) for a, b in zip(*told)] == [sorted(e, key=str) for e in alone]


@pytest.mark.parametrize(
    "options", [{"prefetch": 3}, {"num_workers": 3, "worker_type": "thread"}], ids=str
)
def test_threads_give_the_batches_of_none(options):
    by_thread = collections.Counter()

    class Plain(Dataset):
        def __len__(self):
            return 21

        def __getitem__(self, index):
            by_thread[threading.current_thread() is threading.main_thread()] += 1
            return index, dtrain.rand(1).item()

    found = epochs(Plain(), **options)
    assert by_thread == {True: 6, False: 36}  # of each of two epochs the first batch
    assert found == epochs(Plain())
    for late in (0, 9):
        state = random.getstate()
        with pytest.warns(UserWarning, match="draws from random or numpy.random, whose states"):
            found = epochs(Drawing(late=late), **options)
        assert late or random.getstate() == state
        assert found == epochs(Drawing(late=late))


def test_a_program_that_draws_itself_does_not_change_what_threads_load():
    class Plain(Dataset):
        def __len__(self):
            return 12

        def __getitem__(self, index):
            return index, dtrain.rand(1).item()

    def run(**options):
        rows = []
        for batch in DataLoader(Plain(), 2, **options):
            rows.append(plain(batch[1]))
            random.random()
        return rows

    assert run(num_workers=2, worker_type="thread") == run()


def test_batches_keep_their_values_while_workers_write_the_next_ones():
    loader = DataLoader(Drawing(40), 2, num_workers=1)
    kept = list(loader)
    assert [b["image"][0, 0, 0].item() for b in kept] == list(range(0, 40, 2))
    kept[0]["image"].zero_()  # writable, and nobody else's
    assert kept[1]["image"][1, 3, 3].item() == 3
    seen = [b["image"][1].clone() for b in loader]  # each dropped: segments are used again
    assert [x[2, 2].item() for x in seen] == list(range(1, 40, 2))


class Failing(Dataset):
    def __init__(self, fail):
        self.fail = fail

    def __len__(self):
        return 12

    def __getitem__(self, index):
        if index == 7:
            self.fail()
        return index


class Unpicklable(Exception):
    def __init__(self, one, two):
        super().__init__(one)


def raise_value_error():
    raise ValueError("bad picture")


def raise_unpicklable():
    raise Unpicklable("one", "two")


@pytest.mark.parametrize("kind", ["process", "thread"])
def test_an_exception_comes_with_its_traceback_and_sample(kind):
    loader = DataLoader(Failing(raise_value_error), 2, num_workers=2, worker_type=kind)
    seen = []
    with pytest.raises(ValueError, match="bad picture") as caught:
        seen.extend(batch.tolist() for batch in loader)
    assert seen == [[0, 1], [2, 3], [4, 5]]  # in order: the failing one is the fourth
    notes = "\n".join(caught.value.__notes__)
    assert "raised by sample 7 of the dataset" in notes
    if kind == "process":
        cause = str(caught.value.__cause__)
        assert "DataLoader: worker 1 (process" in cause
        assert "in raise_value_error" in cause


def test_without_workers_the_sample_is_named_too():
    with pytest.raises(ValueError, match="bad picture") as caught:
        list(DataLoader(Failing(raise_value_error), 2))
    assert caught.value.__notes__ == ["DataLoader: raised by sample 7 of the dataset"]


def test_an_exception_that_cannot_be_pickled_is_told():
    loader = DataLoader(Failing(raise_unpicklable), 2, num_workers=1)
    with pytest.raises(RuntimeError, match="Unpicklable: one"):
        list(loader)
    with pytest.raises(RuntimeError, match="Unpicklable: one"):  # the loader can be used again
        list(loader)


def test_a_worker_that_dies_is_named():
    loader = DataLoader(Failing(lambda: os.kill(os.getpid(), signal.SIGKILL)), 2, num_workers=2)
    message = r"worker 1 \(process \d+\) was ended by SIGKILL while it loaded samples \[6, 7\]"
    with pytest.raises(RuntimeError, match=message):
        list(loader)
    loader = DataLoader(Failing(lambda: os._exit(3)), 2, num_workers=1)
    with pytest.raises(RuntimeError, match="ended with exit status 3 while"):
        list(loader)


def test_a_dead_worker_is_replaced_where_ranks_are(tmp_path, monkeypatch, capsys):
    mark = tmp_path / "died"

    def die_once():
        if not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(distributed.world.communicator(), "elastic", True, raising=False)
    loader = DataLoader(Failing(die_once), 2, num_workers=2)
    assert [b.tolist() for b in loader] == [[i, i + 1] for i in range(0, 12, 2)]
    assert (
        "was ended by SIGKILL while it loaded samples [6, 7]; another one"
        in capsys.readouterr().err
    )
    always = DataLoader(Failing(lambda: os.kill(os.getpid(), signal.SIGKILL)), 2, num_workers=1)
    with pytest.raises(RuntimeError, match="was ended by SIGKILL"):
        list(always)


@pytest.mark.parametrize("kind", ["process", "thread"])
def test_a_worker_init_fn_that_raises_is_told(kind):
    def refuse(number):
        raise LookupError("no such file")

    loader = DataLoader(range(4), 2, num_workers=1, worker_type=kind, worker_init_fn=refuse)
    with pytest.raises(RuntimeError, match="no such file") as caught:
        list(loader)
    assert isinstance(caught.value.__cause__, LookupError)


@pytest.mark.slow
def test_workers_that_the_garbage_collector_ends_while_others_start(monkeypatch):
    loader = DataLoader(range(4), 2, num_workers=1, persistent_workers=True)
    assert len(list(loader)) == 2
    loader.itself = loader
    (worker,) = loader._workers._kept._workers
    del loader
    server = fork_server()
    conn = server._conn

    class Collecting:
        recv, fileno = conn.recv, conn.fileno

        def send(self, message):
            gc.collect()
            conn.send(message)

    monkeypatch.setattr(server, "_conn", Collecting())
    read = []
    thread = threading.Thread(target=start_and_read, args=(read,), daemon=True)
    thread.start()
    thread.join(60)
    assert [batch.tolist() for batch in read] == [[0, 1], [2, 3]]
    assert server.read_status(worker.pid) in (None, 0)


HANGING = """
import sys, threading
import dtrain.data
from dtrain.data.workers import thread_pool

thread_pool._GRACE_S = 0.1

class Hanging:
    def __len__(self):
        return 8

    def __getitem__(self, index):
        if index == 5:
            threading.Event().wait()
        return index

try:
    for batch in dtrain.data.DataLoader(Hanging(), 2, num_workers=2, worker_type="thread", timeout=1):
        print(batch.tolist())
except RuntimeError as error:
    print(error)
"""


def test_a_thread_that_hangs_does_not_keep_the_program_from_its_end():
    command = [sys.executable, "-c", HANGING]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stderr) == (0, "")
    *batches, told = ended.stdout.splitlines()
    assert batches == ["[0, 1]", "[2, 3]"]
    assert "a thread gave no batch for 1 s" in told


def test_at_the_end_of_the_program_threads_finish_what_they_do():
    began, may_end, ended = (threading.Event() for _ in range(3))
    seen = []

    def finish():
        began.set()
        may_end.wait(30)
        ended.set()

    def leave():
        thread_pool._end_all()
        seen.append(ended.is_set())

    pool = thread_pool.ThreadPool(1, "finishing", lambda number: None)
    pool.submit(finish)
    waiting = pool.submit(len, "abc")
    began.wait(30)
    at_exit = threading.Thread(target=leave)
    at_exit.start()
    with pytest.raises(CancelledError):
        waiting.result(30)
    may_end.set()
    at_exit.join(30)
    assert seen == [True]


def start_and_read(batches):
    batches.extend(DataLoader(range(4), 2, num_workers=1))


@pytest.mark.parametrize("kind", ["process", "thread"])
def test_a_worker_that_takes_too_long_is_named(kind, tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    loader = DataLoader(
        Failing(lambda: open(fifo).close()), 2, num_workers=1, timeout=1, worker_type=kind
    )
    with pytest.raises(RuntimeError, match=r"gave no batch for 1 s .* loads samples \[6, 7\]"):
        list(loader)
    if kind == "thread":
        open(fifo, "w").close()  # lets the thread end


def test_samples_without_elements_travel_too():
    class Empty(Dataset):
        table = np.empty((5, 0))

        def __init__(self):
            self.rows = np.empty((0, 3))

        def __len__(self):
            return 2

        def __getitem__(self, index):
            return np.empty((4, 0), np.int16), self.rows

    (batch,) = DataLoader(Empty(), 2, num_workers=1)
    assert [(x.shape, x.dtype) for x in batch] == [
        ((2, 4, 0), dtrain.int16),
        ((2, 0, 3), dtrain.float64),
    ]


def test_what_cannot_be_sent_to_a_process_is_said():
    lock = threading.Lock()
    with pytest.raises(TypeError, match=r"Failing.* cannot be sent to worker processes.*thread"):
        list(DataLoader(Failing(lambda: lock), num_workers=1))


def test_workers_know_their_number_and_rank():
    class Who(Dataset):
        def __len__(self):
            return 8

        def __getitem__(self, index):
            info = get_worker_info()
            assert info.dataset is self
            with pytest.raises(RuntimeError, match="cannot communicate with other ranks"):
                distributed.barrier()
            return (
                info.id,
                info.num_workers,
                distributed.rank(),
                distributed.world_size(),
                self.mark,
            )

    def init(number):
        get_worker_info().dataset.mark = number + 10

    def body():
        loader = DataLoader(Who(), 2, num_workers=2, worker_init_fn=init, prefetch_factor=1)
        return [[row.tolist() for row in batch] for batch in loader]

    for rank, batches in enumerate(distributed.run_ranks(2, body)):
        for ids, counts, ranks, sizes, marks in batches:
            assert (counts, ranks, sizes) == ([2, 2], [rank, rank], [2, 2])
            assert marks == [i + 10 for i in ids]
        assert {ids[0] for ids, *_ in batches} == {0, 1}
    assert get_worker_info() is None


class Striped(IterableDataset):
    def __init__(self, size=23):
        self.size = size

    def __iter__(self):
        info = get_worker_info()
        first, count = (info.id, info.num_workers) if info else (0, 1)
        return iter(range(first, self.size, count))


class Blocks(Striped):
    def __iter__(self):
        info = get_worker_info()
        first, count = (info.id, info.num_workers) if info else (0, 1)
        bounds = np.linspace(0, self.size, count + 1).astype(int)
        return iter(range(bounds[first], bounds[first + 1]))


class Whole(Striped):
    def __iter__(self):
        return ((i, random.random(), dtrain.rand(1).item()) for i in range(self.size))


def read(stream, state=None, **options):
    loader = DataLoader(stream, 2, microbatches=2, **options)
    if state is not None:
        loader.load_state_dict(state)
    return [[b.tolist() if hasattr(b, "tolist") else plain(b) for b in s] for s in loader.steps()]


def numbers(steps):
    return [n for step in steps for batch in step for n in batch]


def test_a_stream_that_gives_each_worker_its_part_is_read_once():
    alone = read(Striped())
    assert read(Striped(), num_workers=3) == alone
    assert read(Striped(2), num_workers=3) == read(Striped(2))  # one has none
    blocks = numbers(read(Blocks(), num_workers=3))
    assert sorted(blocks) == list(range(23))
    assert blocks != sorted(blocks)
    told = distributed.run_ranks(2, read, Striped(), num_workers=2)
    joined = [[batch for batch in a + b if batch] for a, b in zip(*told)]
    assert joined == [[batch for batch in step if batch] for step in alone]


def test_a_stream_without_parts_is_read_by_one_worker():
    alone = read(Whole())
    with pytest.warns(UserWarning, match="one of 3 workers reads the Whole"):
        assert read(Whole(), num_workers=3) == alone
    assert read(Whole(), num_workers=1) == alone


def test_a_stream_goes_on_in_the_middle_with_as_many_parts():
    loader = DataLoader(Blocks(), 2, microbatches=2, num_workers=3, persistent_workers=True)
    seen, states = [], []
    for step in loader.steps():
        seen.append([x.tolist() for x in step])
        states.append(loader.state_dict())
    assert [[x.tolist() for x in step] for step in loader.steps()] == seen
    assert read(Blocks(), states[1], num_workers=3) == seen[2:]
    for count in (0, 2):
        with pytest.raises(ValueError, match="a stream that 3 workers read in parts"):
            read(Blocks(), states[1], num_workers=count)


def test_a_loader_with_workers_goes_on_where_its_state_was_taken():
    options = {
        "batch_size": 3,
        "shuffle": True,
        "seed": 1,
        "num_workers": 2,
        "worker_type": "thread",
    }
    loader = DataLoader(range(20), **options)
    batches = iter(loader)
    first = [next(batches).tolist() for _ in range(3)]
    state = loader.state_dict()
    rest = [b.tolist() for b in batches]
    resumed = DataLoader(range(20), **options)
    resumed.load_state_dict(state)
    assert [b.tolist() for b in resumed] == rest
    assert sorted(n for batch in first + rest for n in batch) == list(range(20))
    next(iter(loader))  # left by a break, with batches loaded ahead: the next epoch is whole
    alone = DataLoader(range(20), batch_size=3, shuffle=True, seed=1)
    for _ in range(2):
        list(alone)
    assert [b.tolist() for b in loader] == [b.tolist() for b in alone]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_workers": -3}, "num_workers must be >= 0, got -3"),
        ({"num_workers": None}, "num_workers must be >= 0, got None"),
        ({"num_workers": 1, "prefetch_factor": "x"}, "prefetch_factor must be >= 1, got 'x'"),
        ({"num_workers": 1, "prefetch_factor": 0}, "prefetch_factor must be >= 1, got 0"),
        ({"prefetch": -1}, "prefetch must be >= 0, got -1"),
        ({"timeout": -1}, "timeout must be >= 0 seconds, got -1"),
        ({"timeout": float("nan")}, "timeout must be >= 0 seconds, got nan"),
        ({"worker_type": "fork"}, "worker_type must be 'process' or 'thread', got 'fork'"),
        ({"num_workers": 1, "worker_init_fn": 3}, "worker_init_fn must be a function, got 3"),
        ({"num_workers": 1, "prefetch": 2}, "prefetch=2 is for num_workers=0"),
        ({"prefetch_factor": 2}, "prefetch_factor is an option of workers"),
        ({"persistent_workers": True}, "persistent_workers is an option of workers"),
        ({"timeout": 3}, "timeout is an option of workers"),
        ({"multiprocessing_context": "spawn"}, "multiprocessing_context is an option of workers"),
    ],
)
def test_options_that_no_worker_could_take_are_refused(options, message):
    with pytest.raises(ValueError, match=f"DataLoader: {message}"):
        DataLoader(range(3), **options)
    assert set(options) <= set(WorkerOptions.__annotations__)


def test_options_that_change_nothing_are_warned_of():
    with pytest.raises(ValueError, match="a stream, which a thread cannot read ahead"):
        DataLoader(Whole(), prefetch=1)
    for options, message in (
        ({"worker_init_fn": print}, "worker_init_fn is not called without workers"),
        ({"num_workers": 1, "in_order": False}, "batches come in order all the same"),
        ({"num_workers": 1, "multiprocessing_context": "fork"}, "workers start from a fork server"),
        ({"pin_memory": True}, "pin_memory=True without a GPU has no effect"),
    ):
        with pytest.warns(UserWarning, match=message):
            DataLoader(range(3), **options)


def test_a_mapped_array_is_opened_by_the_worker_not_copied(tmp_path):
    np.save(tmp_path / "x.npy", np.arange(24.0).reshape(6, 4))
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")

    class Rows(Dataset):
        def __len__(self):
            return 4

        def __getitem__(self, index):
            info = get_worker_info()
            assert info is None or isinstance(mapped[1:5].base, np.memmap)
            return mapped[1:5][index]

    rows = dtrain.cat(list(DataLoader(Rows(), 2, num_workers=1)))
    assert rows.tolist() == mapped[1:5].tolist()


PROGRAM = """
import sys, numpy as np
from dtrain import distributed
from dtrain.data import DataLoader, Dataset
class Squares(Dataset):  # of the program itself, which has no `if __name__ == "__main__"`
    def __len__(self): return 40
    def __getitem__(self, i): return np.full(500, i * i), np.random.rand()
def total(samples): return sum(int(x[0]) for x, _ in samples), [r for _, r in samples]
def run(n): return [b for step in DataLoader(Squares(), 2, microbatches=4, num_workers=n, collate_fn=total).steps() for b in step]
assert run(2) == run(0), "differs"
print("rank", distributed.rank(), "of", distributed.world_size(), "ended well")
"""


@pytest.mark.slow
def test_a_program_with_workers_under_a_launcher(run_python, tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    done = run_python("-m", "dtrain.cli", "run", "-n", "2", "program.py")
    assert done.returncode == 0, done.stderr
    lines = sorted(done.stdout.splitlines())
    assert lines == ["rank 0 of 2 ended well", "rank 1 of 2 ended well"]


def test_a_rank_that_waits_for_a_worker_is_named_so(monkeypatch):
    told = []

    def wait_and_tell(connections, timeout_s):
        if process.activity is None:
            return []
        told.append(process.activity[0])
        return connection.wait(connections, timeout_s)

    monkeypatch.setattr(processes, "wait", wait_and_tell)
    assert len(list(DataLoader([1, 2], num_workers=1))) == 2
    expected = r"waiting for a DataLoader's worker 0 \(process \d+\), which loads samples \[0\]"
    assert re.fullmatch(expected, told[0])
    assert process.activity is None
