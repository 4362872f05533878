"""What is computed for each image of an ONNX model, and what is known before."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import NodeProto, numpy_helper

from flyweight.errors import CaptureError, first_line
from flyweight.graph.onnx_nodes import SIZES, OnnxNode, attributes_of, called
from flyweight.graph.onnx_numbers import NUMBERS, Numbers
from flyweight.graph.onnx_operators import NUMBERS_AT, OPERATORS

STANDARD = ("", "ai.onnx")
"""Domains of ONNX's own operators."""
OLDEST = 7
"""Before it, sums and products had rules of their own for operands of different shapes."""
_QUANTISED = re.compile(r"Quantize|QLinear|Integer$|^QAttention|^QGemm")


def check_operators(path: Path, graph: onnx.GraphProto) -> None:
    """Find out whether all operators are known.

    Raises:
        CaptureError: some aren't; all of them are named.
    """
    constants = {one.name for one in graph.initializer}
    names: set[str] = set()
    for node in graph.node:  # in an order in which they can run
        if node.op_type == "Constant" or (node.input and constants.issuperset(node.input)):
            constants.update(node.output)
        elif node.op_type not in SIZES or node.domain not in STANDARD:
            names.add(_operator(node))
    quantised = sorted(name for name in names if _QUANTISED.search(name.split("::")[-1]))
    if quantised:
        raise CaptureError(
            f"{path} is quantised ({', '.join(quantised)}): what would be timed here are float"
            " operations, not its own; give the float model that it was made from"
        )
    if unread := sorted(names - set(OPERATORS) - set(NUMBERS)):
        raise CaptureError(f"{path} can't be read: {', '.join(unread)}")


def _operator(node: NodeProto) -> str:
    """Its name, behind its domain where that isn't ONNX's own."""
    return node.op_type if node.domain in STANDARD else f"{node.domain}::{node.op_type}"


@dataclass(frozen=True)
class Step:
    """A node that is computed for each image.

    Attributes:
        node: it.
        numbers: whether it computes numbers that follow from the input's shape alone.
    """

    node: NodeProto
    numbers: bool


@dataclass(frozen=True)
class Plan:
    """What is left of a graph when everything constant is computed.

    Attributes:
        steps: in order.
        constants: by name; what was stored, and what follows from it.
        opset: version of the operators.
        source: the input.
        outputs: what is put out.
    """

    steps: tuple[Step, ...]
    constants: Mapping[str, Numbers]
    opset: int
    source: str
    outputs: tuple[str, ...]

    @classmethod
    def of(cls, graph: onnx.GraphProto, opset: int, source: str) -> "Plan":
        """Go through a graph once.

        Raises:
            CaptureError: a shape depends on the image's values, or a result isn't computed here.
        """
        if opset < OLDEST:
            raise CaptureError(f"it is of opset {opset}, and operators before {OLDEST} were others")
        constants = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
        numbers: set[str] = set()
        known = {source}
        steps = []
        for node in graph.node:
            read = [name for name in node.input if name]
            if node.op_type == "Constant":
                constants[node.output[0]] = _constant(node)
                continue
            if missing := [n for n in read if n not in constants and n not in known]:
                raise CaptureError(f"{called(node)} reads {missing[0]}, which nothing computes")
            if constants.keys() >= set(read):
                constants |= zip(node.output, _folded(node, read, constants, opset), strict=False)
                continue
            sizes = node.op_type in SIZES
            plain = sizes or (
                node.op_type in NUMBERS
                and all(name in numbers or _is_shape(constants.get(name)) for name in read)
            )
            if not plain:
                _check_numbers(node, constants, numbers)
            steps.append(Step(node, plain))
            made = node.output if node.op_type == "Split" else node.output[:1]
            known.update(made)
            numbers.update(made if plain else ())
        outputs = tuple(one.name for one in graph.output)
        if missing := [name for name in outputs if name not in constants and name not in known]:
            raise CaptureError(f"it puts out {missing[0]}, which nothing computes")
        return cls(tuple(steps), constants, opset, source, outputs)


def _is_shape(array: Numbers | None) -> bool:
    """Whether it may be part of a shape: a number, or a list of them."""
    return array is not None and array.ndim <= 1


def _constant(node: NodeProto) -> Numbers:
    for one in node.attribute:
        if one.name == "value":
            return numpy_helper.to_array(one.t)
        if one.name in ("value_float", "value_floats"):
            return np.array(onnx.helper.get_attribute_value(one), np.float32)
        if one.name in ("value_int", "value_ints"):
            return np.array(onnx.helper.get_attribute_value(one), np.int64)
    raise CaptureError(f"{called(node)} holds something else than numbers")


def _folded(
    node: NodeProto, read: Sequence[str], constants: Mapping[str, Numbers], opset: int
) -> list[Numbers]:
    """What a node of constants alone puts out."""
    attributes = attributes_of(node)
    arrays = [constants[name] if name else None for name in node.input]
    try:
        if node.domain not in STANDARD:
            raise CaptureError(f"it is {_operator(node)}")
        if node.op_type in SIZES:
            return [SIZES[node.op_type](attributes, arrays).astype(np.int64)]
        if node.op_type in NUMBERS:
            return [np.asarray(NUMBERS[node.op_type](attributes, arrays))]
        if node.op_type not in OPERATORS:
            raise CaptureError(f"it is {_operator(node)}")
        found = OnnxNode(node, {name: constants[name] for name in read}, opset)()
    except Exception as error:
        raise CaptureError(f"{called(node)}, of constants: {first_line(error)}") from error
    several = found if isinstance(found, tuple) else (found,)
    return [one.numpy() for one in several]


def _check_numbers(node: NodeProto, constants: Mapping[str, Numbers], numbers: set[str]) -> None:
    if node.op_type not in OPERATORS:
        raise CaptureError(f"{node.op_type} of image values ({called(node)})")
    for place in NUMBERS_AT.get(node.op_type, ()):
        name = node.input[place] if place < len(node.input) else ""
        if name and name not in constants and name not in numbers:
            raise CaptureError(
                f"{node.op_type} with a shape computed at run time, from the image's values"
                f" ({called(node)})"
            )
