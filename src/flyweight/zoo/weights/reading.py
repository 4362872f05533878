"""Tensors from files that nobody vouches for: nothing in them is ever run."""

import pickle
import re
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path

import safetensors
import torch
from torch import Tensor

from flyweight.errors import WeightsError, first_line
from flyweight.zoo.weights import caffemodel

# What training scripts call the weights inside a checkpoint, and what wrappers put before names.
_NESTED = ("state_dict", "model_state_dict", "model")
_PREFIXES = ("module.", "_orig_mod.")
_COMPRESSED = b"\x93FWC"
"""How the files begin that 'flyweight compress' writes."""

_UNREADABLE = "damaged, cut short, or not what it seems: unreadable"


def read_tensors(path: str | Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read the tensors of a safetensors file, a PyTorch checkpoint of tensors, or a .caffemodel.

    Which of the first two it is shows in its content, not in its name. Weights nested under
    "state_dict" or "model" are found, and a "module." before every name (from DataParallel) is
    dropped.

    Returns:
        The tensors by name, on the CPU, and the file's metadata (checkpoints have none).

    Raises:
        WeightsError: no such file, another kind of file, a damaged one, or one that holds
            something else than tensors.
    """
    path = Path(path)
    head = _head(path)
    metadata: dict[str, str] = {}
    if path.suffix == caffemodel.SUFFIX:
        tensors = caffemodel.read_caffemodel(path)
    elif head[8:9] == b"{":
        tensors, metadata = _read_safetensors(path)
    elif head.startswith((b"PK\x03\x04", b"\x80")):
        tensors = _state_dict(path, _read_checkpoint(path, zipped=head.startswith(b"PK")))
    elif head.startswith(_COMPRESSED):
        raise WeightsError(
            f"{path} is compressed: 'flyweight decompress {path} --out FILE.safetensors' first"
        )
    else:
        raise WeightsError(
            f"{path}: neither safetensors nor a PyTorch checkpoint: it begins with {head[:16]!r}"
            f" (Caffe's files must end in {caffemodel.SUFFIX})"
        )
    if not tensors:
        raise WeightsError(f"{path} holds no tensors")
    for key, tensor in tensors.items():
        _check_plain(path, key, tensor)
    for prefix in _PREFIXES:
        if all(key.startswith(prefix) for key in tensors):
            tensors = {key.removeprefix(prefix): tensor for key, tensor in tensors.items()}
    return tensors, metadata


def _head(path: Path) -> bytes:
    """The first bytes of a file, which show its kind."""
    if not path.exists():
        raise WeightsError(f"no such file: {path}")
    if not path.is_file():
        raise WeightsError(f"can't read {path}: it is not a file")
    try:
        with path.open("rb") as file:
            head = file.read(64)
    except OSError as error:
        raise WeightsError(f"can't read {path}: {error.strerror or error}") from None
    if not head:
        raise WeightsError(f"can't read {path}: it is empty")
    return head


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except Exception as error:  # the library raises its own, and torch's for types it lacks
        reason = first_line(error).removeprefix("Error while deserializing header: ")
        raise WeightsError(f"{path}: {_UNREADABLE} as safetensors ({reason})") from None


def _read_checkpoint(path: Path, zipped: bool) -> object:
    """What `torch.load` gives without unpickling anything but tensors and plain containers."""
    if zipped:
        _check_archive(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        name = re.search(r"GLOBAL (\S+)", str(error))
        what = f"it asks for {name[1]}" if name else "it holds other objects than tensors"
        raise WeightsError(f"{path}: not loaded, because {what}: only tensors are read") from None
    except Exception as error:  # damaged archives and pickles raise all kinds
        raise WeightsError(
            f"{path}: {_UNREADABLE} as a PyTorch checkpoint ({first_line(error)})"
        ) from None


def _check_archive(path: Path) -> None:
    """PyTorch's archives are never compressed; one that is could grow without bounds."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise WeightsError(
            f"{path}: {_UNREADABLE} as a PyTorch checkpoint ({first_line(error)})"
        ) from None
    if sum(member.file_size for member in members) > path.stat().st_size:
        raise WeightsError(f"{path}: a compressed archive, which PyTorch doesn't write: not loaded")


def _state_dict(path: Path, content: object) -> dict[str, Tensor]:
    """The named tensors in a checkpoint's content."""
    for _ in range(2):  # {"model": {"state_dict": ...}} happens
        if isinstance(content, Mapping):
            nested = (content.get(name) for name in _NESTED)
            content = next((inner for inner in nested if isinstance(inner, Mapping)), content)
    if not isinstance(content, Mapping):
        raise WeightsError(f"{path} holds a {type(content).__name__}, not tensors by name")
    for key, value in content.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            raise WeightsError(
                f"{path}: not the weights of a network: {key!r} is a {type(value).__name__}"
            )
    return dict(content)


def _check_plain(path: Path, key: str, tensor: Tensor) -> None:
    """Refuse tensors whose values can't be copied: sparse, quantised, without data, expanded."""
    plain = (
        tensor.layout is torch.strided
        and tensor.device.type == "cpu"
        and not tensor.is_quantized
        and not tensor.is_nested
    )
    if not plain or tensor.untyped_storage().nbytes() < tensor.numel() * tensor.element_size():
        raise WeightsError(f"{path}: {key!r} is no plain tensor with all of its values")
