"""Reads IDX files, the format of MNIST (http://yann.lecun.com/exdb/mnist), gzipped or not."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path

import numpy as np

from dtrain.errors import DataError

_DTYPES = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
_STEMS = {"train": ("train",), "test": ("t10k", "test")}


def read_idx(path: str | Path) -> np.ndarray:
    """Read the array in an IDX file.

    Parameters
    ----------
    path : the file, gzipped or not

    Returns
    -------
    numpy.ndarray
        Of the shape and dtype in the file's header (uint8, int8, int16, int32, float32 or
        float64), in native byte order.

    Raises
    ------
    DataError
        If the file is missing, or shorter or longer than its header says, or does not begin
        with an IDX magic number: two zero bytes, a type (8 to 14), the number of dimensions.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile() as file:
    ...     _ = file.write(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 8, 9]))
    ...     file.flush()
    ...     read_idx(file.name)
    array([7, 8, 9], dtype=uint8)
    """
    path = Path(path)
    try:
        data = path.read_bytes()
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as reason:
        raise DataError(f"{path}: cannot be read: {reason}") from reason
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in _DTYPES:
        raise DataError(
            f"{path}: begins with {data[:4].hex(' ') or 'nothing'}, not with an IDX magic number "
            "(00 00, a type from 08 to 0e, the number of dimensions)"
        )
    dtype, ndim = np.dtype(_DTYPES[data[2]]), data[3]
    header = 4 + 4 * ndim
    if len(data) < header:
        raise DataError(f"{path}: has {len(data)} bytes, its header alone needs {header}")
    shape = tuple(int(n) for n in np.frombuffer(data, ">u4", ndim, 4))
    expected = header + math.prod(shape) * dtype.itemsize
    if len(data) != expected:
        raise DataError(
            f"{path}: has {len(data)} bytes, but {shape} items of {dtype.name} need {expected}: "
            f"the file is {'cut' if len(data) < expected else 'too long'}"
        )
    return np.frombuffer(data, dtype, offset=header).reshape(shape).astype(dtype.newbyteorder("="))


def read_idx_folder(
    folder: str | Path, split: str, classes: int = 10
) -> tuple[np.ndarray, np.ndarray]:
    """Read the images and labels of one split of MNIST, Fashion-MNIST or a dataset like them.

    Parameters
    ----------
    folder : holds ``train-images-idx3-ubyte``, ``t10k-labels-idx1-ubyte`` and so on, with or
        without ``.gz``
    split : "train" or "test"
    classes : labels are in [0, classes)

    Returns
    -------
    images : (n, height, width) uint8
    labels : (n,) int64

    Raises
    ------
    DataError
        If a file is missing or damaged, images and labels differ in number, or a label is out
        of range.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     images = bytes([0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 2, 1, 2, 3, 4])
    ...     _ = (Path(folder) / "train-images-idx3-ubyte").write_bytes(images)
    ...     labels = bytes([0, 0, 8, 1, 0, 0, 0, 1, 9])
    ...     _ = (Path(folder) / "train-labels-idx1-ubyte").write_bytes(labels)
    ...     x, y = read_idx_folder(folder, "train")
    >>> x.shape, y
    ((1, 2, 2), array([9]))
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"{folder}: is not a folder")
    images_path, labels_path = (_find_file(folder, split, kind) for kind in ("images", "labels"))
    images, labels = read_idx(images_path), read_idx(labels_path)
    if images.ndim != 3 or images.dtype != np.uint8:
        raise DataError(
            f"{images_path}: expected uint8 images (n, height, width), got {images.dtype} "
            f"{images.shape}"
        )
    if labels.shape != images.shape[:1]:
        raise DataError(f"{labels_path}: {labels.shape} labels for {len(images)} images")
    if labels.size and (labels.min() < 0 or labels.max() >= classes):
        wrong = labels[(labels < 0) | (labels >= classes)][0]
        raise DataError(
            f"{labels_path}: label {wrong} is out of range: expected 0 <= label < {classes}"
        )
    return images, labels.astype(np.int64)


def _find_file(folder: Path, split: str, kind: str) -> Path:
    """The file of a split's "images" or "labels"."""
    dims = 3 if kind == "images" else 1
    names = [
        f"{stem}-{kind}{dot}idx{dims}-ubyte{end}"
        for stem in _STEMS[split]
        for dot in "-."
        for end in ("", ".gz")
    ]
    for name in names:
        if (folder / name).exists():
            return folder / name
    raise DataError(f"{folder}: has no {split} {kind}: expected {names[0]} or {names[1]}")
