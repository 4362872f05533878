"""Images in parquet files, as Hugging Face keeps them: a column of files' bytes, one of labels."""

import io
import json
import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from flyweight.errors import FlyweightError, UsageError
from flyweight.training.images import WINDOW, Before, ImageSet
from flyweight.zoo.preprocessing import decode_image

IMAGE, LABEL = "image", "label"
IN_MEMORY = 2 * WINDOW
"""Row groups: those that images are shuffled among, and the next ones."""


def from_tables(files: Sequence[Path], classes: Sequence[str] | None = None) -> ImageSet:
    """The images of parquet files: a column "image" with files' bytes, a column "label".

    Images lie in row groups that are read as a whole: they are shuffled within a few of them, and
    no more than those are in memory.

    Args:
        files: in their order.
        classes: what the classes are called; None for what the files say, or else their numbers.

    Raises:
        UsageError: no such columns, or labels that are no classes.
        FlyweightError: pyarrow isn't installed, or a file can't be read.
    """
    groups, labels, names = _index(files, tuple(classes or ()))
    blocks = tuple(len(part) for part in labels)
    every = np.concatenate(labels) if labels else np.zeros(0, np.int64)
    if not len(every) or not np.issubdtype(every.dtype, np.integer) or every.min() < 0:
        raise UsageError(f"{files[0]}: the labels must be whole numbers from 0 on")
    names = names or tuple(map(str, range(int(every.max()) + 1)))
    if every.max() >= len(names):
        raise UsageError(f"{files[0]}: class {every.max()} of {len(names)} has no name")
    ends = np.cumsum(blocks)
    read = _Groups(groups)

    def where(number: int) -> tuple[int, int]:
        group = int(np.searchsorted(ends, number, "right"))
        return group, number - int(ends[group] - blocks[group])

    def called(number: int) -> str:
        group, row = where(number)
        path, index = groups[group]
        return f"{path.name}/{index}/{row}"

    def opened(number: int, before: Before) -> Image.Image:
        group, row = where(number)
        value = read.images(group)[row].as_py()
        content = value.get("bytes") if isinstance(value, dict) else value
        if not isinstance(content, bytes):
            raise FlyweightError(f"{called(number)}: it holds no bytes of an image")
        return decode_image(io.BytesIO(content), called(number), before)

    return ImageSet(names, every.astype(np.int64), opened, called, blocks)


Index = tuple[list[tuple[Path, int]], list[Any], tuple[str, ...]]
"""File and number of each row group, the labels of each, and what the classes are called."""


def _index(files: Sequence[Path], names: tuple[str, ...]) -> Index:
    """Read the labels, and nothing else, of every row group."""
    try:
        from pyarrow import ArrowException, parquet
    except ImportError:
        raise FlyweightError("parquet files need pyarrow: pip install 'flyweight[train]'") from None
    groups: list[tuple[Path, int]] = []
    labels: list[Any] = []
    try:
        for path in files:
            with parquet.ParquetFile(path) as file:
                missing = {IMAGE, LABEL} - set(file.schema_arrow.names)
                if missing:
                    raise UsageError(f"{path} has no column {min(missing)!r}")
                names = names or _class_names(file.schema_arrow.metadata)
                for group in range(file.num_row_groups):
                    table = file.read_row_group(group, columns=[LABEL])
                    labels.append(table.column(LABEL).to_numpy())
                    groups.append((path, group))
    except (OSError, ArrowException) as error:
        raise FlyweightError(f"can't read {path}: {error}") from None
    return groups, labels, names


class _Groups:
    """The images of the row groups that were asked for last."""

    def __init__(self, groups: Sequence[tuple[Path, int]]) -> None:
        self._groups = groups
        self._lock = threading.Lock()
        self._read: OrderedDict[int, Any] = OrderedDict()

    def images(self, group: int) -> Any:
        """The column of images of a row group."""
        from pyarrow import ArrowException, parquet

        with self._lock:
            if group not in self._read:
                path, index = self._groups[group]
                try:
                    with parquet.ParquetFile(path) as file:
                        table = file.read_row_group(index, columns=[IMAGE])
                except (OSError, ArrowException) as error:
                    raise FlyweightError(f"can't read {path}: {error}") from None
                self._read[group] = table.column(IMAGE).combine_chunks()
                if len(self._read) > IN_MEMORY:
                    self._read.popitem(last=False)
            self._read.move_to_end(group)
            return self._read[group]


def _class_names(metadata: dict[bytes, bytes] | None) -> tuple[str, ...]:
    """The names that Hugging Face's `datasets` writes beside a column of classes, if it did."""
    try:
        features = json.loads((metadata or {})[b"huggingface"])["info"]["features"]
        return tuple(map(str, features[LABEL]["names"]))
    except (KeyError, TypeError, ValueError):
        return ()
