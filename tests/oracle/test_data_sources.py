"""Datasets and streams of other libraries, with workers and without: each sample once, in order."""

import gc
import io
import itertools
import tarfile

import numpy as np
import pytest

import dtrain
from dtrain import distributed
from dtrain.data import DataLoader, get_worker_info

pytestmark = pytest.mark.oracle
ROWS = 24


def collect(source, key=None, **options):
    """The numbers of an epoch's samples, in order."""
    batches = DataLoader(source, 4, **options)
    return [int(n) for batch in batches for n in (batch if key is None else batch[key])]


def read_again_after(source, steps, key=None, **options):
    """The numbers that a loader gives which is resumed after some steps."""
    loader = DataLoader(source, 4, **options)
    for _ in itertools.islice(loader, steps):
        state = loader.state_dict()
    resumed = DataLoader(source, 4, **options)
    resumed.load_state_dict(state)
    return [int(n) for batch in resumed for n in (batch if key is None else batch[key])]


def test_datasets_of_pytorch():
    torch = pytest.importorskip("torch")
    rows = torch.arange(ROWS)
    source = torch.utils.data.TensorDataset(rows, rows * 2.0)
    assert collect(source, 0) == collect(source, 0, num_workers=2) == list(range(ROWS))
    part = torch.utils.data.Subset(source, range(3, 15))
    x, y = next(iter(DataLoader(part, 4, num_workers=1)))
    assert (x.tolist(), y.tolist()) == ([3, 4, 5, 6], [6.0, 8.0, 10.0, 12.0])
    assert isinstance(x, dtrain.Tensor)


@pytest.fixture(scope="module")
def table():
    datasets = pytest.importorskip("datasets")
    images = np.arange(ROWS * 4, dtype=np.float32).reshape(ROWS, 4)
    return datasets.Dataset.from_dict({"x": images, "n": list(range(ROWS))})


def test_datasets_of_hugging_face(table):
    assert collect(table, "n") == collect(table, "n", num_workers=2) == list(range(ROWS))
    assert collect(table.with_format("torch"), "n") == list(range(ROWS))
    batch = next(iter(DataLoader(table.with_format("numpy"), 4, num_workers=1)))
    assert batch["x"].tolist() == [[float(4 * i + k) for k in range(4)] for i in range(4)]


def test_streams_of_hugging_face(table):
    stream = table.to_iterable_dataset(num_shards=3).map(lambda row: {"n": row["n"] + 1})
    expected = list(range(1, ROWS + 1))
    assert collect(stream, "n") == collect(stream, "n", num_workers=1) == expected
    assert read_again_after(stream, 2, "n") == expected[8:]


@pytest.fixture(scope="module")
def tar_files(tmp_path_factory):
    """The pattern of three files of WebDataset."""
    folder = tmp_path_factory.mktemp("shards")
    for shard in range(3):
        with tarfile.open(folder / f"{shard}.tar", "w") as tar:
            for n in range(shard * ROWS // 3, (shard + 1) * ROWS // 3):
                info = tarfile.TarInfo(f"{n:03}.cls")
                info.size = len(text := str(n).encode())
                tar.addfile(info, io.BytesIO(text))
    return str(folder / "{0..2}.tar")


@pytest.fixture(scope="module")
def parquet_file(tmp_path_factory):
    pytest.importorskip("pyarrow")
    from pyarrow import parquet, table as make_table

    path = tmp_path_factory.mktemp("parquet") / "n.parquet"
    parquet.write_table(make_table({"n": range(ROWS)}), path, row_group_size=7)
    return path


def read_shards(files, **options):
    wds = pytest.importorskip("webdataset")
    stream = wds.WebDataset(files, shardshuffle=False, **options)
    return stream.decode().to_tuple("cls").map(sum)


class RowGroups:
    """The rows of a Parquet file; each worker reads row groups of its own."""

    def __init__(self, path):
        self.path = path

    def __iter__(self):
        from pyarrow import parquet

        file = parquet.ParquetFile(self.path)
        for group in own_parts(range(file.num_row_groups)):
            for batch in file.iter_batches(5, row_groups=[group]):
                yield from batch.column("n").to_pylist()


class Shards:
    """A stream of Hugging Face, of which each worker reads a shard."""

    def __init__(self, stream):
        self.stream = stream

    def __iter__(self):
        info = get_worker_info()
        if info is None:
            return iter(self.stream)
        return iter(self.stream.shard(num_shards=info.num_workers, index=info.id))


def own_parts(parts):
    """The parts of this worker."""
    info = get_worker_info()
    return parts if info is None else itertools.islice(parts, info.id, None, info.num_workers)


leaves_files_open = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
SOURCES = {
    "datasets": lambda get: (Shards(get("table").to_iterable_dataset(num_shards=3)), "n"),
    "webdataset": lambda get: (read_shards(get("tar_files"), workersplitter=own_parts), None),
    "pyarrow": lambda get: (RowGroups(get("parquet_file")), None),
}
each_source = pytest.mark.parametrize(
    "make", [pytest.param(make, id=name, marks=leaves_files_open) for name, make in SOURCES.items()]
)


@each_source
def test_each_worker_reads_its_part_of_a_stream(make, request):
    source, key = make(request.getfixturevalue)
    expected = list(range(ROWS))
    assert collect(source, key) == collect(source, key, num_workers=1) == expected
    order = collect(source, key, num_workers=3)
    assert order != expected
    assert sorted(order) == expected
    assert read_again_after(source, 2, key, num_workers=3) == order[8:]
    del source
    gc.collect()


def read_steps(source, key, state=None, count=None):
    """This rank's numbers of each step, and the loader's state after them."""
    loader = DataLoader(source, 2, microbatches=4)
    if state is not None:
        loader.load_state_dict(state)
    steps = [
        [int(n) for batch in step for n in (batch if key is None else batch[key])]
        for step in itertools.islice(loader.steps(), count)
    ]
    return steps, loader.state_dict()


def join_ranks(told):
    """The numbers of each step, over the ranks."""
    return [list(itertools.chain(*parts)) for parts in zip(*(steps for steps, _ in told))]


@each_source
def test_a_stream_goes_on_in_the_middle_on_another_number_of_ranks(make, request):
    source, key = make(request.getfixturevalue)
    expected = [list(range(step, step + 8)) for step in range(0, ROWS, 8)]
    told = distributed.run_ranks(2, read_steps, source, key, None, 1)
    assert join_ranks(told) == expected[:1]
    for ranks in (1, 3):
        rest = distributed.run_ranks(ranks, read_steps, source, key, told[0][1])
        assert join_ranks(rest) == expected[1:]
    del source
    gc.collect()


def read_own(make):
    loader = DataLoader(make(distributed.rank()), 4, sharded=True)
    return [int(n) for batch in loader for n in (batch["n"] if isinstance(batch, dict) else batch)]


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # WebDataset leaves its files open
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_ranks_may_each_read_shards_of_their_own(table, tar_files):
    from datasets.distributed import split_dataset_by_node

    stream = table.to_iterable_dataset(num_shards=2)
    for make in (
        lambda rank: split_dataset_by_node(stream, rank, 2),
        lambda rank: read_shards(
            tar_files, nodesplitter=lambda files: itertools.islice(files, rank, None, 2)
        ),
    ):
        first, second = distributed.run_ranks(2, read_own, make)
        assert first
        assert sorted([*first, *second]) == list(range(ROWS))
    gc.collect()


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_stream_that_asks_for_no_part_is_read_by_one_worker(tar_files):
    stream = read_shards(tar_files)
    assert collect(stream, num_workers=1) == list(range(ROWS))
    with pytest.warns(UserWarning, match="one of 2 workers reads the"):
        assert collect(stream, num_workers=2) == list(range(ROWS))
    del stream
    gc.collect()
