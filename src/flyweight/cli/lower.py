"""`flyweight lower`: what an exact rewrite leaves of a network's operations and channel moves."""

from typing import Annotated

import typer

from flyweight.cli.arguments import image
from flyweight.cli.options import Input, Json
from flyweight.cli.output import as_json


def lower_command(
    model: Annotated[str, typer.Argument(help="A network's name, or package.module:factory.")],
    engine: Annotated[
        str | None, typer.Option(help="The engine whose measurements decide what pays.")
    ] = None,
    input: Input = "224",
    json: Json = False,
) -> None:
    """Lower a network and say what was done where: moves dissolved, norms folded, the error.

    'flyweight bench NAME --both' times the result, 'flyweight export NAME --lowered' writes it.

    Example: flyweight lower shufflenet_v2_x1_0 --engine onnxruntime
    """
    size = image(input)

    import torch

    from flyweight.api import to_time
    from flyweight.lowering import lower, report_of

    example = torch.randn((1, *size), generator=torch.Generator().manual_seed(0))
    report = report_of(lower(to_time(model), example, engine))
    if json:
        as_json(report.to_json())
    else:
        print(report)
