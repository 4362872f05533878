"""What a compressed network's layers take, part by part."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from flyweight.compress.coded import Coded, Floats, Packed, Plain
from flyweight.compress.container import Content
from flyweight.compress.encoding import DENSE, Encoded, decoded
from flyweight.compress.pruning import weights_of
from flyweight.compress.relative import INDEX_BITS, entropy, packed_bytes, relative

FLOAT_BITS = 32


@dataclass(frozen=True)
class LayerSize:
    """What a tensor takes in a file.

    Attributes:
        name: of the tensor.
        weights: how many there are.
        density: the share that isn't zero; None for tensors that lie there as they are.
        bits: of a code before Huffman coding; likewise.
        entries: codes that are kept, fillers and, of a dense layer, zeros included; likewise.
        dense: whether every weight has a code, and none a gap.
        code_entropy: bits of an entry's code that no code of single values goes below.
        gap_entropy: the same of its gap.
        before: bytes as it is run.
        codebook: bytes of the values.
        codes: bytes of the entries' codes, with their table where they are Huffman's.
        gaps: the same of the gaps.
        plain: bytes of a tensor that lies there as it is.
    """

    name: str
    weights: int
    density: float | None
    bits: int | None
    entries: int | None
    dense: bool
    code_entropy: float | None
    gap_entropy: float | None
    before: int
    codebook: int
    codes: int
    gaps: int
    plain: int

    @property
    def after(self) -> int:
        """Bytes in the file."""
        return self.codebook + self.codes + self.gaps + self.plain


def layer_sizes(content: Content) -> list[LayerSize]:
    """What each tensor of a file takes.

    Raises:
        DamageError: codes that are none.
    """
    return [_size(name, tensor) for name, tensor in content.tensors.items()]


def _size(name: str, tensor: Encoded | Plain) -> LayerSize:
    if not isinstance(tensor, Encoded):
        return _plain(name, tensor)
    coded = decoded(tensor)
    dense = tensor.index_bits == DENSE
    entries, gaps = coded.codes.reshape(-1), np.zeros(0, np.uint8)
    if not dense:
        entries, gaps = relative(entries, tensor.index_bits, to_the_end=True)
    return LayerSize(
        name, coded.codes.size, coded.density, coded.bits, tensor.entries, dense,
        entropy(entries), None if dense else entropy(gaps), 4 * coded.codes.size,
        tensor.codebook.nbytes, tensor.codes.size, tensor.gaps.size if tensor.gaps else 0, 0,
    )  # fmt: skip


def stream_sizes(packed: Packed) -> list[LayerSize]:
    """What each tensor takes in a stream without Huffman codes, such as the published one."""
    found = []
    for name, one in packed.tensors.items():
        if not isinstance(one, Coded):
            found.append(_plain(name, one))
            continue
        entries, gaps = relative(one.codes.reshape(-1))
        found.append(
            LayerSize(
                name, one.codes.size, one.density, one.bits, len(entries), False,
                entropy(entries), entropy(gaps), 4 * one.codes.size, one.codebook.nbytes,
                packed_bytes(one.bits, len(entries)), packed_bytes(INDEX_BITS, len(gaps)), 0,
            )
        )  # fmt: skip
    return found


def _plain(name: str, tensor: Plain) -> LayerSize:
    return LayerSize(
        name, tensor.size, None, None, None, False, None, None, tensor.nbytes, 0, 0, 0,
        tensor.nbytes,
    )  # fmt: skip


def state_of(model: nn.Module) -> dict[str, Plain]:
    """A network's tensors as arrays of their own; bfloat16 as float32, which NumPy has."""
    return {
        name: (tensor.float() if tensor.dtype == torch.bfloat16 else tensor)
        .detach().cpu().contiguous().numpy().copy()
        for name, tensor in model.state_dict().items()
    }  # fmt: skip


def packed_with(
    state: Mapping[str, Plain], coded: Mapping[str, Coded], metadata: Mapping[str, str]
) -> Packed:
    """A network's tensors with those of the layers by their codes."""
    return Packed({name: coded.get(name, one) for name, one in state.items()}, metadata)


def as_run(state: Mapping[str, Plain]) -> int:
    """Bytes of all tensors."""
    return sum(one.nbytes for one in state.values())


def as_pairs(packed: Packed) -> int:
    """Bytes without Huffman coding: codebooks, and for each entry a code and a gap of 4 bits."""
    total = 0
    for one in packed.tensors.values():
        if isinstance(one, Coded):
            entries, _ = relative(one.codes.reshape(-1))
            total += one.codebook.nbytes + packed_bytes(one.bits, len(entries))
            total += packed_bytes(INDEX_BITS, len(entries))
        else:
            total += one.nbytes
    return total


def as_pairs_of_floats(model: nn.Module) -> int:
    """Bytes of a pruned network: for each entry a weight of 32 bits and a gap of 4 bits."""
    weights: Mapping[str, Floats] = weights_of(model)
    total = as_run(state_of(model)) - sum(one.nbytes for one in weights.values())
    for one in weights.values():
        entries, _ = relative((one.reshape(-1) != 0).astype(np.uint8))
        total += packed_bytes(FLOAT_BITS + INDEX_BITS, len(entries))
    return total
