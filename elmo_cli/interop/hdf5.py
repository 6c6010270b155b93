"""HDF5 of other programs: numbers that lie whole in the file itself, and nothing else.

HDF5 lets a dataset take its bytes from any other file (external storage, virtual datasets), lets a name lead to another
name or file (links), and lets sizes stand that nothing fills (chunks never written). A file that was sent by someone
could so carry the reader's own files into what is written next, or fill the memory. This is the only place that reads
HDF5, and it looks before it reads.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import h5py
import numpy as np
from numpy.typing import NDArray

from elmo_cli.errors import ElmoError, InputError, printable

_IN_FILE = (h5py.h5d.COMPACT, h5py.h5d.CONTIGUOUS, h5py.h5d.CHUNKED)
# gzip, shuffle, checksum, lzf: all that h5py's own users write by default or by name
_FILTERS = frozenset((h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32, 32000))
# Weights shrink by a tenth, zeros to a thousandth.
_GROWTH = 100
_ALWAYS = 1 << 26  # bytes that may be unpacked whatever the growth


class Hdf5Reader:
    """An open HDF5 file of floats, for a `with` statement; raises `error`, with `remedy`, where it cannot be used."""

    def __init__(self, path: Path, error: type[InputError], remedy: str) -> None:
        self._path, self._error, self._remedy = path, error, remedy
        self._read: set[int] = set()
        if not path.is_file():
            raise self._refusal(f"there is no file {path}", "an HDF5 file")
        with self._ours():
            self._file = h5py.File(path, "r")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def names(self) -> list[str]:
        """The names at the top of the file, of whatever they are."""
        with self._ours():
            return [str(name) for name in self._file]  # one that is no UTF-8 is given as bytes

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every dataset by its full name; each is known to lie whole in the file, and to hold floats."""
        shapes: dict[str, tuple[int, ...]] = {}
        seen: set[int] = set()
        groups: list[tuple[str, h5py.Group]] = [("", self._file)]
        with self._ours():
            while groups:
                above, group = groups.pop()
                self._see(group, above or "/", seen)
                for name in map(str, group):
                    full = above + name
                    item = self._item(group, name, full)
                    if isinstance(item, h5py.Group):
                        groups.append((f"{full}/", item))
                    else:
                        self._see(item, full, seen)
                        shapes[full] = self._check(item, full).shape
        return shapes

    def read(self, name: str) -> NDArray[np.floating[Any]]:
        """The numbers of a dataset, whose place, type and size are checked first; each is read once."""
        with self._ours():
            item: object = self._file
            for part in name.split("/"):
                item = self._item(item, part, name)
            dataset = self._check(item, name)
            self._see(dataset, name, self._read)
            values: NDArray[np.floating[Any]] = dataset[()]
            return values

    def _item(self, group: object, name: str, full: str) -> h5py.Group | h5py.Dataset:
        link = group.get(name, getlink=True) if isinstance(group, h5py.Group) else None
        if not isinstance(link, h5py.HardLink) or not isinstance(group, h5py.Group):
            raise self._refusal(f"{printable(full)} is a link", "datasets in the file itself")
        return group[name]

    def _see(self, item: h5py.Group | h5py.Dataset, name: str, seen: set[int]) -> None:
        """Refuse what has two names: a small file could be read without end."""
        place = h5py.h5o.get_info(item.id).addr
        if place in seen:
            raise self._refusal(f"{printable(name)} has two names", "one name for each group and dataset")
        seen.add(place)

    def _check(self, item: object, name: str) -> h5py.Dataset:
        """The dataset, once its numbers are known to be floats that lie in this file, all of them."""
        shown = printable(name)
        if not isinstance(item, h5py.Dataset):
            raise self._refusal(f"{shown} is a {type(item).__name__.lower()}", "datasets of floats")
        made = item.id.get_create_plist()
        if made.get_layout() not in _IN_FILE or made.get_external_count():
            raise self._refusal(f"{shown} takes its numbers from other files", "datasets in the file itself")
        if item.dtype.kind != "f" or item.dtype.itemsize > 8:
            raise self._refusal(f"{shown} holds {item.dtype}", "floats of at most 64 bits")
        if item.shape is None:
            raise self._refusal(f"{shown} is empty", "datasets of floats")
        filters = {made.get_filter(number)[0] for number in range(made.get_nfilters())}
        if not filters <= _FILTERS:
            raise self._refusal(f"{shown} is packed by filter {max(filters - _FILTERS)}", "gzip, lzf or no compression")
        size = math.prod(item.shape) * item.dtype.itemsize
        # both: a damaged file may be wrong about what it stores
        stored = min(item.id.get_storage_size(), self._path.stat().st_size)
        if size > (max(_ALWAYS, _GROWTH * stored) if filters else stored):
            found = f"{shown} has shape {item.shape}, {size:,} bytes, of which {stored:,} are stored"
            raise self._refusal(found, "datasets that were written as a whole")
        return item

    @contextmanager
    def _ours(self) -> Iterator[None]:
        """Errors of the library, which lets a damaged file raise anything, as ours."""
        try:
            yield
        except ElmoError:
            raise
        except Exception as error:
            message = f"{self._path} is no whole HDF5 file: {printable(str(error))}"
            raise self._refusal(message, "an HDF5 file") from error

    def _refusal(self, found: str, expected: str) -> InputError:
        return self._error(found, where=self._path, expected=expected, remedy=self._remedy)
