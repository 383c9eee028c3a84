"""`CIFAR10` and `CIFAR100`, from the batches for Python, which are read without running code."""

from __future__ import annotations

import io
import pickle
import tarfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dtrain.errors import DataError
from dtrain.vision.datasets.arrays import ArrayDataset


class CIFAR10(ArrayDataset):
    """Pictures of ten kinds of things: 50,000 of 32 x 32 pixels, 10,000 for testing (CIFAR10).

    Parameters
    ----------
    root : has the folder cifar-10-batches-py, or the archive cifar-10-python.tar.gz with it
    train : the training or the test set
    transform, target_transform : take a picture (mode RGB), and a class's number
    download : only for PyTorch's sake: nothing is downloaded, missing files are an error either way

    Attributes
    ----------
    data : numpy.ndarray (n, 32, 32, 3) uint8
    targets : list of int
    classes : list of str
    """

    base_folder: str = "cifar-10-batches-py"
    filename: str = "cifar-10-python.tar.gz"
    _batches: tuple[tuple[str, ...], tuple[str, ...]] = (
        tuple(f"data_batch_{number}" for number in range(1, 6)),
        ("test_batch",),
    )
    _names: tuple[str, str, str] = ("batches.meta", "label_names", "labels")

    data: np.ndarray
    targets: list[int]

    def _read_files(self) -> None:
        meta, classes, labels = self._names
        names = self._batches[not self.train]
        files = self._find_files((meta, *names))
        self.classes: list[str] = list(self._unpickle(meta, files.pop(meta), classes)[classes])
        batches = [self._unpickle(name, files.pop(name), "data", labels) for name in names]
        rows = np.concatenate([np.asarray(batch["data"], np.uint8) for batch in batches])
        self.targets = [int(n) for batch in batches for n in batch[labels]]
        self._check(rows)
        pixels = rows.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
        self.data = np.ascontiguousarray(pixels)

    def _check(self, rows: np.ndarray) -> None:
        where = f"{self.root}/{self.base_folder}"
        if rows.ndim != 2 or rows.shape != (len(self.targets), 3072):
            raise DataError(
                f"{where}: expected {len(self.targets)} pictures of 3,072 numbers, one for each "
                f"label, got {rows.shape}"
            )
        wrong = [n for n in self.targets if not 0 <= n < len(self.classes)]
        if wrong:
            raise DataError(
                f"{where}: label {wrong[0]} is out of range: expected 0 <= label < "
                f"{len(self.classes)}"
            )

    def _find_files(self, names: Sequence[str]) -> dict[str, bytes]:
        """The contents of the files with these names, of the folder or else of the archive."""
        folder, archive = self._folder / self.base_folder, self._folder / self.filename
        found = {name: (folder / name).read_bytes() for name in names if (folder / name).exists()}
        missing = [name for name in names if name not in found]
        if missing and not archive.exists():
            raise DataError(
                f"{type(self).__name__}: found neither {folder / missing[0]} nor {archive}, and "
                f"nothing is downloaded: get {self.filename} from "
                f"https://www.cs.toronto.edu/~kriz/cifar.html and put it into {self._folder}"
            )
        return found | (_read_members(archive, self.base_folder, missing) if missing else {})

    def _unpickle(self, name: str, contents: bytes, *keys: str) -> dict[str, Any]:
        """The dict in a batch file, which has these keys."""
        path = f"{self.root}/{self.base_folder}/{name}"
        try:
            batch = _BatchUnpickler(io.BytesIO(contents), encoding="latin1").load()
            missing = [key for key in keys if key not in batch]
        except Exception as reason:
            raise DataError(f"{path}: cannot be read: {reason}") from reason
        if missing:
            raise DataError(
                f"{path}: has no {', '.join(missing)}: it is no batch of {self.filename}"
            )
        return batch


class CIFAR100(CIFAR10):
    """Pictures of a hundred kinds of things, in the form of `CIFAR10` (CIFAR100)."""

    base_folder: str = "cifar-100-python"
    filename: str = "cifar-100-python.tar.gz"
    _batches = (("train",), ("test",))
    _names = ("meta", "fine_label_names", "fine_labels")


def _read_members(archive: Path, folder: str, names: Sequence[str]) -> dict[str, bytes]:
    """The contents of files in a folder of an archive, which is decompressed once."""
    found: dict[str, bytes] = {}
    wanted = {f"{folder}/{name}": name for name in names}
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                if member.name in wanted and (file := tar.extractfile(member)) is not None:
                    found[wanted[member.name]] = file.read()
        return {name: found[name] for name in names}
    except (tarfile.TarError, KeyError, EOFError, OSError, zlib.error) as reason:
        missing = next((name for name in names if name not in found), names[0])
        raise DataError(
            f"{archive}: {folder}/{missing} cannot be read of it: {reason}; download the archive "
            "again"
        ) from reason


class _BatchUnpickler(pickle.Unpickler):
    """Makes arrays and Python's own containers, and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        if name == "_reconstruct" and module.endswith("multiarray"):
            return np.zeros(0).__reduce__()[0]
        allowed = {"ndarray": np.ndarray, "dtype": np.dtype}
        if module == "numpy" and name in allowed:
            return allowed[name]
        if (module, name) == ("_codecs", "encode"):  # of bytes, in protocol 2
            return _encode
        raise pickle.UnpicklingError(f"it makes a {module}.{name}, expected arrays alone")


def _encode(text: str, encoding: str) -> bytes:
    return text.encode(encoding)
