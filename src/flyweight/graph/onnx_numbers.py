"""ONNX operators on numbers: what exporters write to compute shapes.

PyTorch's older exporter and others write a view as a chain of nodes that take sizes from a tensor
and put a shape together. Such values depend on no data. They are computed here with NumPy, where an
open number of images may stand among them (arrays of objects).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import onnx
import torch

Numbers: TypeAlias = np.ndarray[Any, np.dtype[Any]]
Attributes: TypeAlias = Mapping[str, Any]
Operator: TypeAlias = Callable[[Attributes, Sequence[Any]], Any]


def shape_of(attributes: Attributes, inputs: Sequence[Any]) -> Numbers:
    """The sizes of a tensor or of an array."""
    sizes = list(inputs[0].shape)[attributes.get("start", 0) : attributes.get("end")]
    return _objects(sizes)


def size_of(attributes: Attributes, inputs: Sequence[Any]) -> Numbers:
    """How many elements there are."""
    whole = 1
    for size in inputs[0].shape:
        whole = whole * size
    return np.array(whole, dtype=object)


def _objects(values: Sequence[Any]) -> Numbers:
    found = np.empty(len(values), dtype=object)
    found[:] = values
    return found


def _axes(attributes: Attributes, inputs: Sequence[Any]) -> list[int] | None:
    held = inputs[1] if len(inputs) > 1 and inputs[1] is not None else attributes.get("axes")
    return None if held is None else [int(axis) for axis in held]


def _unsqueeze(attributes: Attributes, inputs: Sequence[Any]) -> Numbers:
    found: Numbers = np.expand_dims(inputs[0], tuple(_axes(attributes, inputs) or ()))
    return found


def _squeeze(attributes: Attributes, inputs: Sequence[Any]) -> Numbers:
    axes = _axes(attributes, inputs)
    found: Numbers = np.squeeze(inputs[0], None if axes is None else tuple(axes))
    return found


def _gather(attributes: Attributes, inputs: Sequence[Any]) -> Numbers:
    return np.asarray(np.take(inputs[0], inputs[1].astype(np.int64), attributes.get("axis", 0)))


def _slice(attributes: Attributes, inputs: Sequence[Any]) -> Numbers:
    given = [inputs[at] if at < len(inputs) else None for at in range(1, 5)]
    starts, ends = (
        attributes[name] if held is None else held.tolist()
        for name, held in zip(("starts", "ends"), given, strict=False)
    )
    axes = attributes.get("axes") if given[2] is None else given[2].tolist()
    steps = [1] * len(starts) if given[3] is None else given[3].tolist()
    window: list[slice] = [slice(None)] * inputs[0].ndim
    for start, end, axis, step in zip(starts, ends, axes or range(len(starts)), steps, strict=True):
        window[axis] = slice(start, end, step)
    found: Numbers = inputs[0][tuple(window)]
    return found


def _cast(attributes: Attributes, inputs: Sequence[Any]) -> Numbers:
    wanted = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(attributes["to"]))
    x: Numbers = inputs[0]
    if x.dtype != object:
        return x.astype(wanted)
    open_sizes = any(isinstance(one, torch.SymInt | torch.SymFloat) for one in x.flat)
    if not open_sizes:
        return x.astype(wanted)
    if wanted.kind == "f":
        return _objects([torch.sym_float(one) for one in x.flat]).reshape(x.shape)
    return x


def _divide(attributes: Attributes, inputs: Sequence[Any]) -> Any:
    whole = all(_is_whole(one) for one in inputs)  # sizes, which are never negative
    return inputs[0] // inputs[1] if whole else inputs[0] / inputs[1]


def _is_whole(x: Numbers) -> bool:
    if x.dtype == object:
        return not any(isinstance(one, float | torch.SymFloat) for one in x.flat)
    return x.dtype.kind in "iub"


def _reshape(attributes: Attributes, inputs: Sequence[Any]) -> Numbers:
    x: Numbers = inputs[0]
    sizes = [x.shape[at] if size == 0 else int(size) for at, size in enumerate(inputs[1].tolist())]
    return x.reshape(sizes)


def _constant_of_shape(attributes: Attributes, inputs: Sequence[Any]) -> Numbers:
    held = attributes.get("value")
    value = np.zeros(1, np.float32) if held is None else onnx.numpy_helper.to_array(held)
    return np.full([int(size) for size in inputs[0].tolist()], value.item(), value.dtype)


def _range(attributes: Attributes, inputs: Sequence[Any]) -> Numbers:
    return np.arange(*(one.item() for one in inputs))


def _expand(attributes: Attributes, inputs: Sequence[Any]) -> Numbers:
    wanted = [int(size) for size in inputs[1].tolist()]
    return np.broadcast_to(inputs[0], np.broadcast_shapes(inputs[0].shape, tuple(wanted))).copy()


def _reduce_prod(attributes: Attributes, inputs: Sequence[Any]) -> Any:
    axes = _axes(attributes, inputs)
    along = None if axes is None else tuple(axes)
    return np.prod(inputs[0], axis=along, keepdims=bool(attributes.get("keepdims", 1)))


def _concat(attributes: Attributes, inputs: Sequence[Any]) -> Numbers:
    return np.concatenate(list(inputs), attributes.get("axis", 0))


def _binary(function: Callable[[Any, Any], Any]) -> Operator:
    return lambda attributes, inputs: function(inputs[0], inputs[1])


def _unary(function: Callable[[Any], Any]) -> Operator:
    return lambda attributes, inputs: function(inputs[0])


NUMBERS: dict[str, Operator] = {
    "Unsqueeze": _unsqueeze, "Squeeze": _squeeze, "Gather": _gather, "Slice": _slice,
    "Cast": _cast, "Div": _divide, "Reshape": _reshape, "ConstantOfShape": _constant_of_shape,
    "Range": _range, "Expand": _expand, "ReduceProd": _reduce_prod, "Concat": _concat,
    "Identity": _unary(lambda x: x), "Add": _binary(lambda a, b: a + b),
    "Sub": _binary(lambda a, b: a - b), "Mul": _binary(lambda a, b: a * b),
    "Pow": _binary(lambda a, b: a**b), "Mod": _binary(lambda a, b: a % b),
    "Min": _binary(np.minimum), "Max": _binary(np.maximum), "Equal": _binary(np.equal),
    "Greater": _binary(np.greater), "Less": _binary(np.less), "Not": _unary(np.logical_not),
    "Floor": _unary(np.floor), "Ceil": _unary(np.ceil), "Sqrt": _unary(np.sqrt),
    "Neg": _unary(np.negative),
    "Where": lambda a, i: np.where(i[0].astype(bool), i[1], i[2]),
}  # fmt: skip
"""What each operator does with arrays that don't depend on the image's values."""
