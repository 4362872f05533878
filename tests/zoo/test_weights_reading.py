"""Files that hold weights, and files that only seem to."""

import os
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from flyweight.errors import WeightsError
from flyweight.zoo.weights import read_tensors

TENSORS = {"conv.weight": torch.arange(12.0).reshape(3, 4), "conv.bias": torch.ones(3)}


def same(found: dict[str, Tensor]) -> bool:
    return found.keys() == TENSORS.keys() and all(
        torch.equal(found[key], value) for key, value in TENSORS.items()
    )


WRAPPED: dict[str, object] = {
    "plain": TENSORS,
    "ordered": OrderedDict(TENSORS),
    "state_dict": {"epoch": 3, "state_dict": TENSORS, "best": 0.5},
    "model": {"model": TENSORS, "optimizer": {"lr": 0.1}},
    "both": {"model": {"state_dict": TENSORS}},
    "module.": {"module." + key: value for key, value in TENSORS.items()},
    "state_dict of module.": {
        "state_dict": {"module." + key: value for key, value in TENSORS.items()}
    },
    "parameters": {key: torch.nn.Parameter(value) for key, value in TENSORS.items()},
}


@pytest.mark.parametrize("content", WRAPPED.values(), ids=WRAPPED.keys())
@pytest.mark.parametrize("zipped", [True, False])
def test_checkpoints_in_their_common_wrappings_are_read(
    content: object, zipped: bool, tmp_path: Path
) -> None:
    file = tmp_path / "weights.pth"
    torch.save(content, file, _use_new_zipfile_serialization=zipped)
    tensors, metadata = read_tensors(file)
    assert same(tensors)
    assert metadata == {}


def test_safetensors_are_read_with_their_metadata_whatever_the_name(tmp_path: Path) -> None:
    file = tmp_path / "weights.bin"
    save_file(TENSORS, file, {"source": "here"})
    tensors, metadata = read_tensors(file)
    assert same(tensors)
    assert metadata == {"source": "here"}


class Bomb:
    """Runs a command when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch {self.mark}",)


def bomb(file: Path) -> None:
    torch.save({"conv.weight": Bomb(file.with_name("exploded"))}, file)


def bare_bomb(file: Path) -> None:
    file.write_bytes(pickle.dumps(Bomb(file.with_name("exploded"))))


def cut_safetensors(file: Path) -> None:
    save_file(TENSORS, file)
    file.write_bytes(file.read_bytes()[:-8])


def cut_header(file: Path) -> None:
    save_file(TENSORS, file)
    file.write_bytes(file.read_bytes()[:40])


def cut_checkpoint(file: Path) -> None:
    torch.save(TENSORS, file)
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def cut_old_checkpoint(file: Path) -> None:
    torch.save(TENSORS, file, _use_new_zipfile_serialization=False)
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def compressed(file: Path) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data/0", bytes(10_000_000))


def other_archive(file: Path) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("readme.txt", "hello")


def expanded(file: Path) -> None:
    torch.save({"conv.weight": torch.ones(1).expand(10**12)}, file)


def no_values(file: Path) -> None:
    torch.save({"conv.weight": torch.ones(4, device="meta")}, file)


def sparse(file: Path) -> None:
    torch.save({"conv.weight": torch.eye(4).to_sparse()}, file)


def nothing(file: Path) -> None:
    torch.save({}, file)


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda file: None, "no such file: "),
    "folder": (Path.mkdir, "it is not a file"),
    "empty": (Path.touch, "it is empty"),
    "text": (
        lambda file: file.write_text("<!DOCTYPE html><title>Sign in</title>"),
        "neither safetensors nor a PyTorch checkpoint: it begins with b'<!DOCTYPE html><'",
    ),
    "safetensors cut short": (
        cut_safetensors,
        "cut short, or not what it seems: unreadable as safetensors",
    ),
    "header cut short": (cut_header, "cut short, or not what it seems: unreadable as safetensors"),
    "header of text": (
        lambda file: file.write_text("any text{ and on it goes"),
        "cut short, or not what it seems: unreadable as safetensors",
    ),
    "checkpoint cut short": (
        cut_checkpoint,
        "cut short, or not what it seems: unreadable as a PyTorch checkpoint",
    ),
    "old checkpoint cut short": (cut_old_checkpoint, "as a PyTorch checkpoint"),
    "pickle bomb": (bomb, "not loaded, because it asks for posix.system: only tensors are read"),
    "bare pickle bomb": (bare_bomb, "not loaded"),
    "compressed archive": (compressed, "a compressed archive"),
    "another archive": (other_archive, "as a PyTorch checkpoint"),
    "list": (lambda file: torch.save([TENSORS], file), "holds a list, not tensors by name"),
    "tensor": (lambda file: torch.save(torch.ones(3), file), "holds a Tensor, not tensors"),
    "optimiser": (
        lambda file: torch.save({"lr": 0.1}, file),
        "not the weights of a network: 'lr' is a float",
    ),
    "no tensors": (nothing, "holds no tensors"),
    "expanded": (expanded, "'conv.weight' is no plain tensor"),
    "without values": (no_values, "'conv.weight' is no plain tensor"),
    "sparse": (sparse, "'conv.weight' is no plain tensor"),
}


@pytest.mark.parametrize(("write", "message"), BAD.values(), ids=BAD.keys())
def test_anything_else_is_refused_in_one_line(
    write: Callable[[Path], object], message: str, tmp_path: Path
) -> None:
    file = tmp_path / "weights.pth"
    write(file)
    with pytest.raises(WeightsError) as caught:
        read_tensors(file)
    assert message in str(caught.value)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "exploded").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "weights.safetensors"
    save_file(TENSORS, file)
    file.chmod(0)
    with pytest.raises(WeightsError, match="Permission denied"):
        read_tensors(file)
