"""Two slots on disk for one record: written in turn, certified when read, so that one is always whole.

A slot is a header, the record's bytes and the SHA-256 of both. A write goes to a file of its own, is
forced to the disk and then takes the older slot's name; the younger slot is not touched.
"""

import contextlib
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

MAGIC = b"FOLDKEPT"
HEADER_DTYPE = np.dtype(
    [
        ("magic", "S8"),
        ("version", "<u4"),
        ("size", "<u4"),
        ("sequence", "<u8"),
        ("layout", np.uint8, (32,)),  # SHA-256 of the record's dtype
        ("key", np.uint8, (32,)),  # whose record it is
    ]
)
VERSION = 1
DIGEST_SIZE = 32


@dataclass(frozen=True)
class Slot:
    """One slot as it was found: its record, or why it has none."""

    sequence: int = 0
    record: NDArray[np.void] | None = None
    ignored: str = ""


class Slots:
    """One record kept under `<folder>/<name>.a` and `.b`."""

    def __init__(self, folder: Path, name: str, dtype: np.dtype, key: bytes) -> None:
        self._paths = (folder / f"{name}.a", folder / f"{name}.b")
        self._dtype = dtype
        self._layout = hashlib.sha256(str(dtype).encode()).digest()
        self._key = key

    def load(self) -> tuple[NDArray[np.void] | None, list[str]]:
        """Return the newest whole record, (1,) of the dtype or None, and what was ignored and why."""
        slots = [self._read(path) for path in self._paths]
        newest = max(slots, key=lambda slot: (slot.record is not None, slot.sequence))
        return newest.record, [slot.ignored for slot in slots if slot.ignored]

    def save(self, record: NDArray[np.void]) -> None:
        """Put a (1,) record into the slot that is not the newest whole one; OSError when it cannot."""
        slots = [self._read(path) for path in self._paths]
        whole = [index for index in range(2) if slots[index].record is not None]
        newest = max(whole, key=lambda index: slots[index].sequence, default=1)
        sequence = max(slot.sequence for slot in slots) + 1
        self._write(self._paths[1 - newest], self._encode(record, sequence))

    def _encode(self, record: NDArray[np.void], sequence: int) -> bytes:
        header = np.zeros(1, HEADER_DTYPE)
        payload = np.ascontiguousarray(record, self._dtype).tobytes()
        header["magic"], header["version"], header["size"] = MAGIC, VERSION, len(payload)
        header["sequence"] = sequence
        header["layout"] = np.frombuffer(self._layout, np.uint8)
        header["key"] = np.frombuffer(self._key, np.uint8)
        body = header.tobytes() + payload
        return body + hashlib.sha256(body).digest()

    def _write(self, path: Path, data: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(path.suffix + ".new")
        with fresh.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        _sync_folder(path.parent)

    def _read(self, path: Path) -> Slot:
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return Slot()
        except OSError as error:
            return Slot(ignored=f"{path}: {error}, ignored")
        body, digest = data[:-DIGEST_SIZE], data[-DIGEST_SIZE:]
        if len(body) < HEADER_DTYPE.itemsize or hashlib.sha256(body).digest() != digest:
            return Slot(ignored=f"{path}: torn or corrupt, ignored")
        header = np.frombuffer(body, HEADER_DTYPE, 1)[0]
        sequence = int(header["sequence"])
        why = self._foreign(header, len(body) - HEADER_DTYPE.itemsize)
        if why:
            return Slot(sequence, ignored=f"{path}: {why}, ignored")
        record = np.frombuffer(body, self._dtype, 1, HEADER_DTYPE.itemsize).copy()
        return Slot(sequence, record)

    def _foreign(self, header: np.void, size: int) -> str:
        if header["magic"] != MAGIC or int(header["version"]) != VERSION:
            return "of another format"
        if header["layout"].tobytes() != self._layout or size != self._dtype.itemsize:
            return "of another build's layout"
        if header["key"].tobytes() != self._key:
            return "of another machine"
        return ""


def _sync_folder(folder: Path) -> None:
    """Force the rename itself to the disk, where the file system lets a folder be opened."""
    with contextlib.suppress(PermissionError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
