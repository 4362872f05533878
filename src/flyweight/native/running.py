"""A compiled network, called from Python."""

import contextlib
import ctypes
import mmap
import threading
import weakref
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flyweight.errors import FlyweightError

Floats = NDArray[np.float32]


class Network:
    """An instance of a compiled network. Calls are made one after another.

    Attributes:
        library: the file of its code.
        shapes: of the outputs for one image.
    """

    def __init__(self, library: Path, name: str, weights: bytes, threads: int) -> None:
        try:
            self._library = ctypes.CDLL(str(library))
        except OSError as error:
            raise FlyweightError(
                f"can't load {library}: {error}; delete it, and run again"
            ) from error
        self.library = library
        self._name, self._threads = name, threads
        self._lock = threading.Lock()
        self._weights = _aligned(weights)
        self._run = self._function("run", ctypes.c_int)
        handle = ctypes.c_void_p()
        code = self._function("create", ctypes.c_int)(
            ctypes.byref(handle),
            ctypes.c_void_p(self._weights.ctypes.data),
            ctypes.c_size_t(len(weights)),
            ctypes.c_int(threads),
        )
        if code:
            raise FlyweightError(f"{name} can't run: {self._text(code)}")
        self._handle = handle
        destroy = self._function("destroy", None)
        weakref.finalize(self, destroy, handle)
        self.shapes = self._shapes()

    def _function(self, suffix: str, result: type | None) -> "ctypes._NamedFuncPointer":
        function = self._library[f"{self._name}_{suffix}"]
        function.restype = result
        return function

    def _text(self, code: int) -> str:
        said: bytes = self._function("error_text", ctypes.c_char_p)(ctypes.c_int(code))
        return said.decode()

    def _shapes(self) -> tuple[tuple[int, ...], ...]:
        rank = self._function("output_rank", ctypes.c_int)
        dimension = self._function("output_dimension", ctypes.c_int64)
        count = self._function("output_count", ctypes.c_int)()
        return tuple(tuple(dimension(i, d) for d in range(rank(i))) for i in range(count))

    def memory_bytes(self) -> int:
        """What the instance allocates, but for its weights."""
        found: int = self._function("memory_bytes", ctypes.c_size_t)(ctypes.c_int(self._threads))
        return found

    def __call__(self, images: NDArray[np.generic]) -> tuple[Floats, ...]:
        """All outputs for a batch of images, laid out as the network was planned for."""
        images = np.ascontiguousarray(images)
        batch = len(images)
        outputs = tuple(np.empty((batch, *shape), np.float32) for shape in self.shapes)
        pointers = (ctypes.c_void_p * len(outputs))(*(out.ctypes.data for out in outputs))
        with self._lock:
            code = self._run(
                self._handle, ctypes.c_void_p(images.ctypes.data), ctypes.c_int64(batch), pointers
            )
        if code:
            raise FlyweightError(f"{self._name} failed: {self._text(code)}")
        return outputs


_PAGE = 1 << 21


def _aligned(content: bytes) -> NDArray[np.uint8]:
    """The bytes in memory that starts at a huge page, and asks for such pages where there are any.

    A core remembers where some hundred pages are; megabytes of weights are thousands of small ones.
    """
    memory = mmap.mmap(-1, -(-len(content) // _PAGE) * _PAGE + _PAGE)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with contextlib.suppress(OSError):  # without them it is only slower
            memory.madvise(mmap.MADV_HUGEPAGE)
    room = np.frombuffer(memory, np.uint8)
    start = -room.ctypes.data % _PAGE
    found = room[start : start + len(content)]
    found[:] = np.frombuffer(content, np.uint8)
    return found
