"""Datasets and streams of other libraries, with workers and without: each sample once, in order."""

import gc
import io
import itertools
import tarfile

import numpy as np
import pytest

import dtrain
from dtrain.data import DataLoader

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


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # WebDataset leaves its files open
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_shards_of_webdataset(tmp_path):
    wds = pytest.importorskip("webdataset")
    for shard in range(2):
        with tarfile.open(tmp_path / f"{shard}.tar", "w") as tar:
            for n in range(shard * ROWS // 2, (shard + 1) * ROWS // 2):
                info = tarfile.TarInfo(f"{n:03}.cls")
                info.size = len(text := str(n).encode())
                tar.addfile(info, io.BytesIO(text))
    files = str(tmp_path / "{0..1}.tar")
    stream = wds.WebDataset(files, shardshuffle=False).decode().to_tuple("cls").map(sum)
    assert collect(stream) == collect(stream, num_workers=1) == list(range(ROWS))
    assert read_again_after(stream, 3) == list(range(12, ROWS))
    del stream
    gc.collect()


def test_record_batches_of_pyarrow(tmp_path):
    pytest.importorskip("pyarrow")
    from pyarrow import parquet, table as make_table

    parquet.write_table(make_table({"n": range(ROWS)}), tmp_path / "n.parquet", row_group_size=7)

    class Rows:
        def __iter__(self):
            for part in parquet.ParquetFile(tmp_path / "n.parquet").iter_batches(5):
                yield from part.column("n").to_pylist()

    assert collect(Rows()) == collect(Rows(), num_workers=1) == list(range(ROWS))
