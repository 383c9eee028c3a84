"""Reads PyTorch's files (`.pth`, `.pt`, `.bin`) without PyTorch and without running code.

Such a file is a pickle and the memory of its tensors, in a zip archive or, of old, one after the
other. `torch_unpickler.py` reads the pickle.
"""

from __future__ import annotations

import io
import struct
import sys
import zipfile
import zlib
from typing import Any, BinaryIO

import numpy as np

from dtrain.backend import device
from dtrain.checkpoint.torch_unpickler import Budget, Unpickler
from dtrain.errors import CheckpointError

#: The first number in files from before PyTorch 1.6.
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C

#: Of the lengths of a name and of extra fields, after which contents begin, in an entry's header.
_LENGTHS_OFFSET = 26

#: The largest directory of a zip archive, in bytes: about 60,000 storages.
_LARGEST_DIRECTORY = 6 << 20


def is_torch_file(data: bytes, size: int) -> bool:
    """Whether a file of `size` bytes that begins with `data` is a zip archive or a pickle."""
    if data[:4] == b"PK\x03\x04":
        return True
    # A safetensors file begins with the length of its header; 640 looks like a pickle's magic.
    in_safetensors = int.from_bytes(data[:8], "little") <= size
    return data[:1] == b"\x80" and data[1:2] in (b"\2", b"\3", b"\4", b"\5") and not in_safetensors


def read_torch(
    file: BinaryIO, size: int, name: str, map_location: str | int | device | None
) -> Any:
    """The object in a PyTorch file of `size` bytes; `name` is the file's name, for errors.

    Raises
    ------
    CheckpointError
        If the file is cut, is not PyTorch's, or holds anything but tensors, containers and
        numbers.
    """
    try:
        beginning = file.read(2)
        file.seek(0)
        if beginning == b"PK":
            return _read_zip(file, size, map_location)
        return _read_legacy(file, size, map_location)
    except CheckpointError as reason:
        raise CheckpointError(f"{name}: {reason}") from None
    except Exception as reason:  # of pickle, zipfile or zlib, all of them for damaged files
        raise CheckpointError(
            f"{name}: is not a complete PyTorch file: it was cut or changed ({_describe(reason)})"
        ) from reason


def _describe(reason: Exception) -> str:
    """An exception's message, if it is no object of the file, whose text may have any length."""
    plain = all(isinstance(argument, str) for argument in reason.args)
    return str(reason)[:200] if plain else type(reason).__name__


def _read_zip(file: BinaryIO, size: int, map_location: str | int | device | None) -> Any:
    _check_directory(file)
    archive = zipfile.ZipFile(file)
    names = set(archive.namelist())
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
        raise CheckpointError(
            "is a compressed zip archive, which PyTorch never writes and which could expand to "
            "any size in memory; unpack it and pack it again without compression"
        )
    pickles = [entry for entry in archive.namelist() if entry.endswith("/data.pkl")]
    if not pickles:
        raise CheckpointError("is a zip archive without data.pkl, so not a PyTorch file")
    folder = pickles[0].removesuffix("data.pkl")
    if any(entry.startswith(f"{folder}code/") for entry in names):
        raise CheckpointError(
            "is a TorchScript program, which holds code; save the model's state_dict() instead"
        )
    order = b"little"
    if f"{folder}byteorder" in names:
        with archive.open(f"{folder}byteorder") as entry:
            order = entry.read(16)
    if order not in (b"little", b"big"):
        raise CheckpointError(f"has the byte order {order!r}, expected little or big")
    budget = Budget("storages", size)

    def storage(key: str, dtype: np.dtype, count: int) -> np.ndarray:
        info = archive.getinfo(f"{folder}data/{key}")
        if info.file_size < count * dtype.itemsize:
            raise CheckpointError(
                f"storage {key} has {info.file_size} bytes where {count} of {dtype} are expected"
            )
        budget.spend(info.file_size)
        values = np.empty(count, dtype)
        archive.open(info).close()  # refuses an entry whose own header is another one's
        _read_entry(file, info, values, key)
        return values if order.decode() == sys.byteorder else values.byteswap()

    pickled = archive.getinfo(pickles[0])
    if pickled.file_size > size:
        raise CheckpointError("is not complete: it was cut or changed")
    with archive.open(pickled) as contents:
        data = contents.read()
    return Unpickler(io.BytesIO(data), len(data), storage, map_location).load()


def _check_directory(file: BinaryIO) -> None:
    """Refuse an archive of more files than any model has tensors, before they are listed."""
    end = zipfile._EndRecData(file)  # type: ignore[attr-defined]
    if end is not None and end[zipfile._ECD_SIZE] > _LARGEST_DIRECTORY:  # type: ignore[attr-defined]
        raise CheckpointError(
            f"is a zip archive whose list of files has {end[5]} bytes, expected at most "
            f"{_LARGEST_DIRECTORY}"
        )
    file.seek(0)


def _read_entry(file: BinaryIO, info: zipfile.ZipInfo, values: np.ndarray, key: str) -> None:
    """Read the elements of a storage, without the copies that zipfile makes."""
    file.seek(info.header_offset + _LENGTHS_OFFSET)
    file.seek(sum(struct.unpack("<HH", file.read(4))), io.SEEK_CUR)
    _fill(values, file, key)
    checksum, rest = zlib.crc32(values.view(np.uint8).data), info.file_size - values.nbytes
    while rest:
        more = file.read(min(rest, 1 << 20))
        if not more:
            break
        checksum, rest = zlib.crc32(more, checksum), rest - len(more)
    if checksum != info.CRC:
        raise CheckpointError(f"storage {key} has another checksum than when it was written")


def _fill(values: np.ndarray, file: Any, key: str) -> None:
    """Read the elements of a storage."""
    contents = values.view(np.uint8).data
    if file.readinto(contents) != len(contents):
        raise CheckpointError(f"storage {key} is cut: the file was not written to its end")


def _read_legacy(file: BinaryIO, size: int, map_location: str | int | device | None) -> Any:
    """Reads a file from before PyTorch 1.6: five pickles, then all storages."""
    storages: dict[str, np.ndarray] = {}
    budget = Budget("storages", size)

    def storage(key: str, dtype: np.dtype, count: int) -> np.ndarray:
        if key in storages:
            return storages[key]
        if count * dtype.itemsize > size:
            raise CheckpointError(f"storage {key} of {count} {dtype} is larger than the file")
        budget.spend(count * dtype.itemsize)
        storages[key] = np.zeros(count, dtype)
        return storages[key]

    def unpickle() -> Any:
        return Unpickler(_Bounded(file, size), size, storage, map_location).load()

    if unpickle() != _LEGACY_MAGIC:
        raise CheckpointError(
            "is a pickle, but not PyTorch's; dtrain.load reads files that dtrain.save or "
            "torch.save wrote"
        )
    unpickle()  # the version of the protocol
    machine = unpickle()  # the byte order and the sizes of numbers where it was written
    little = machine.get("little_endian", True) if isinstance(machine, dict) else None
    if not isinstance(little, bool):
        raise CheckpointError("does not tell its byte order; save it again where it was made")
    result = unpickle()
    keys = unpickle()
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise CheckpointError("has no list of its storages: it was cut or changed")
    if len(keys) != len(storages) or set(keys) != set(storages):
        raise CheckpointError(
            f"lists {len(keys)} storages where its tensors have {len(storages)}: it was cut or "
            "changed"
        )
    for key in keys:
        values = storages[key]
        if int.from_bytes(file.read(8), "little" if little else "big") != values.size:
            raise CheckpointError(f"storage {key} is cut: the file was not written to its end")
        _fill(values, file, key)
        if little != (sys.byteorder == "little"):
            values.byteswap(inplace=True)
    return result


class _Bounded:
    """A file of which no more is asked than it has left, whatever lengths a pickle claims."""

    def __init__(self, file: BinaryIO, size: int):
        self._file, self._size = file, size
        self.readline = file.readline

    def read(self, count: int) -> bytes:
        return self._file.read(min(count, self._size))

    def readinto(self, buffer: Any) -> int:
        return self._file.readinto(buffer)  # type: ignore[attr-defined]
