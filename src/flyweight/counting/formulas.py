"""What one operation costs: a rule for every kind of operation, and nothing counted in silence.

* Multiply-adds: of convolutions, linear layers, matrix products and attention (bias not counted),
  from PyTorch's own formulas, which count two operations for each.
* Elementwise operations: one for every element that a pointwise function puts out; batch norm
  two (scale and shift); normalisation with statistics of its own and softmax four; pooling one
  for every pixel of every window; reductions one for every element they read.
* Memory access, in elements (ShuffleNet V2, Section 2: "MAC"): what is read, weights included,
  plus what is written. Views read and write nothing.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

aten = torch.ops.aten

_MOVES = {
    aten.cat, aten.stack, aten.clone, aten._to_copy, aten.copy_, aten.copy, aten.constant_pad_nd,
    aten.reflection_pad2d, aten.replication_pad2d, aten.index_select, aten.index, aten.gather,
    aten.scatter, aten.slice_scatter, aten.select_scatter, aten.channel_shuffle,
    aten.native_channel_shuffle, aten.pixel_shuffle, aten.pixel_unshuffle, aten.roll, aten.flip,
    aten.repeat, aten.embedding, aten.fill_, aten.fill, aten.zero_, aten.full, aten.full_like,
    aten.zeros, aten.zeros_like, aten.ones, aten.ones_like, aten.arange, aten.scalar_tensor,
    aten.upsample_nearest2d, aten.max_unpool2d, aten._local_scalar_dense,
}  # fmt: skip
"""Operations that move data and compute nothing."""

_NOTHING = {
    aten._unsafe_view, aten.empty, aten.empty_like, aten.empty_strided, aten.new_empty,
    aten.new_empty_strided, aten.lift_fresh, aten._assert_async, aten.sym_size,
}  # fmt: skip
"""Operations that touch no data, beside those that PyTorch marks as views."""

_WRITE_ONLY = {aten.copy_, aten.fill_, aten.zero_}
"""In-place operations that don't read what they overwrite."""

_BATCH_NORMS = {
    aten.native_batch_norm, aten._native_batch_norm_legit_no_training, aten.cudnn_batch_norm,
    aten.miopen_batch_norm, aten._batch_norm_no_update,
}  # fmt: skip
_NORMALISATIONS = {
    aten._native_batch_norm_legit, aten._batch_norm_with_update, aten.native_layer_norm,
    aten.native_group_norm, aten._fused_rms_norm, aten._softmax, aten._log_softmax,
}  # fmt: skip
_WINDOW_POOLS = {aten.max_pool2d_with_indices, aten.max_pool2d, aten.avg_pool2d}
_REDUCTIONS = {
    aten.mean, aten.sum, aten.amax, aten.amin, aten.max, aten.min, aten.prod, aten.var,
    aten.var_mean, aten.std, aten.argmax, aten.argmin, aten.linalg_vector_norm, aten.norm,
    aten.cumsum, aten._adaptive_avg_pool2d, aten.adaptive_max_pool2d, aten.any, aten.all,
}  # fmt: skip
_RESAMPLES = {aten.upsample_bilinear2d: 4, aten.upsample_bicubic2d: 16}
"""Interpolations, with the pixels that each output pixel reads."""


@dataclass(frozen=True)
class Counts:
    """What one call costs. `kind` is the class of operation; reads and writes are in elements."""

    kind: str
    madds: int
    elementwise: int
    read: int
    written: int
    bytes: int


def is_view(op: OpOverload) -> bool:
    """Whether the operation touches no data: it gives its input another shape, or asks for one."""
    returns = op._schema.returns
    aliases = [r.alias_info is not None and not r.alias_info.is_write for r in returns]
    asks = op.namespace == "prim"  # a tensor's device, shape: metadata
    return asks or op.overloadpacket in _NOTHING or (bool(aliases) and all(aliases))


def count(
    op: OpOverload, args: tuple[Any, ...], kwargs: Mapping[str, Any], out: Any
) -> Counts | None:
    """The cost of one call, from the shapes of its tensors; None where no rule covers it."""
    packet = op.overloadpacket
    outputs = [t for t in tree_leaves(out) if isinstance(t, Tensor)]
    result = outputs[0].numel() if outputs else 0
    inputs = list(_tensors(args[1:] if packet in _WRITE_ONLY else args, kwargs))
    rule = _rule(packet, op, args, kwargs, inputs, out, result)
    if rule is None:
        return None
    kind, madds, elementwise = rule
    # These also return what only a backward pass would read.
    single = packet in _WINDOW_POOLS or packet in _BATCH_NORMS or packet in _NORMALISATIONS
    written = outputs[:1] if single else outputs
    read = sum(distinct_elements(t) for t in inputs)
    wrote = sum(t.numel() for t in written)
    size = sum(distinct_elements(t) * t.element_size() for t in inputs)
    size += sum(t.numel() * t.element_size() for t in written)
    return Counts(kind, madds, elementwise, read, wrote, size)


def _rule(
    packet: Any,
    op: OpOverload,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    inputs: list[Tensor],
    out: Any,
    result: int,
) -> tuple[str, int, int] | None:
    """(kind, multiply-adds, elementwise operations) of one call."""
    read = inputs[0].numel() if inputs else 0
    if packet in flop_registry:
        formula: Callable[..., int] = flop_registry[packet]
        return _product_kind(packet, args), formula(*args, **kwargs, out_val=out) // 2, 0
    if packet is aten._scaled_dot_product_flash_attention_for_cpu:
        query, key, value = args[:3]
        per_query = (query.shape[-1] + value.shape[-1]) * key.shape[-2]
        return "matrix product", query.numel() // query.shape[-1] * per_query, 0
    if packet in _MOVES:
        return "data movement", 0, 0
    if packet in _BATCH_NORMS:
        return "normalisation", 0, 2 * result
    if packet in _NORMALISATIONS:
        return "normalisation", 0, 4 * result
    if packet in _WINDOW_POOLS:
        kernel = args[1]
        area = kernel[0] * kernel[-1] if len(kernel) < 3 else 0
        return "pooling", 0, result * area
    if packet in _REDUCTIONS:
        return "reduction", 0, read
    if packet in _RESAMPLES:
        return "resampling", 0, result * _RESAMPLES[packet]
    if torch.Tag.pointwise in op.tags:
        return "elementwise", 0, result
    return None


def _product_kind(packet: Any, args: tuple[Any, ...]) -> str:
    """The class of an operation made of multiply-adds."""
    if packet is not aten.convolution and packet is not aten._convolution:
        return "linear" if packet in (aten.mm, aten.addmm) else "matrix product"
    x, weight, groups = args[0], args[1], args[8]
    if groups > 1 and groups == x.shape[1]:
        return "depthwise convolution"
    if groups > 1:
        return "group convolution"
    pointwise = all(size == 1 for size in weight.shape[2:])
    return "pointwise convolution" if pointwise else "convolution"


def _tensors(args: Iterable[Any], kwargs: Mapping[str, Any]) -> Iterable[Tensor]:
    """The tensors among the arguments, each once."""
    seen: set[int] = set()
    for leaf in tree_leaves((tuple(args), dict(kwargs))):
        if isinstance(leaf, Tensor) and id(leaf) not in seen:
            seen.add(id(leaf))
            yield leaf


def distinct_elements(tensor: Tensor) -> int:
    """Elements in memory: a dimension that was expanded holds one."""
    count = 1
    for size, stride in zip(tensor.shape, tensor.stride(), strict=True):
        count *= size if stride else min(size, 1)
    return count
