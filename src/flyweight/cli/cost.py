"""`flyweight cost`: multiply-adds, parameters and memory access of any network."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from flyweight.cli.arguments import shape
from flyweight.cli.options import Json
from flyweight.cli.output import as_json, millions, table

if TYPE_CHECKING:
    from flyweight.counting import Cost


class View(StrEnum):
    """What the table's rows are."""

    operator = "operator"
    module = "module"
    operation = "operation"


def cost_command(
    model: Annotated[str, typer.Argument(help="A network's name, or package.module:factory.")],
    input: Annotated[
        str, typer.Option("--input", help="Input size: batch, channels, height, width.")
    ] = "1,3,224,224",
    by: Annotated[View, typer.Option("--by", help="One row for each of these.")] = View.operator,
    depth: Annotated[
        int | None, typer.Option("--depth", help="With --by module: how deep to go.", min=1)
    ] = None,
    json: Json = False,
) -> None:
    """Count what one forward pass takes, without running it on data.

    Example: flyweight cost shufflenet_v2_x1_0 --by module --depth 2
    """
    from flyweight.api import cost

    counted = cost(model, shape(input))
    if json:
        as_json({"model": model, **counted.to_json()})
        return
    print(f"{model} on an input of {' x '.join(map(str, counted.input_size))}")
    print(
        f"{millions(counted.madds)} M multiply-adds (FLOPs), {millions(counted.params)} M"
        f" parameters, {millions(counted.memory_access)} M elements of memory access"
        f" ({counted.bytes / 2**20:.1f} MiB), {counted.intensity:.2f} multiply-adds a byte\n"
    )
    table(
        [by.value, "calls", "M madds", "M elementwise", "M params", "M elements accessed",
         "madds/byte"],
        _rows(counted, by, depth),
    )  # fmt: skip
    if counted.uncounted:
        names = ", ".join(f"{name} ({calls}x)" for name, calls in counted.uncounted.items())
        print(f"\nNot counted: {names}")
    if counted.unread:
        print(f"\nParameters that nothing read: {', '.join(counted.unread)}")


def _rows(counted: "Cost", by: View, depth: int | None) -> list[list[str]]:
    if by is View.operation:
        return [
            [f"{op.op} {tuple(op.output)} {op.module}", "1", millions(op.madds),
             millions(op.elementwise), millions(op.params), millions(op.memory_access),
             f"{op.intensity:.2f}"]
            for op in counted.operations
        ]  # fmt: skip
    groups = counted.by_operator() if by is View.operator else counted.by_module(depth)
    return [
        [name or "(itself)", str(total.operations), millions(total.madds),
         millions(total.elementwise), millions(total.params), millions(total.memory_access),
         f"{total.intensity:.2f}"]
        for name, total in groups.items()
    ]  # fmt: skip
