"""`flyweight list` and `flyweight info`: which networks there are, and what is known of one."""

import dataclasses
from typing import Annotated

import typer

from flyweight.cli.options import Json
from flyweight.cli.output import as_json, millions, one_decimal, optional, table
from flyweight.errors import UsageError


def list_command(
    pattern: Annotated[str, typer.Argument(help="As in a shell: 'shufflenet_v2*'.")] = "*",
    json: Json = False,
) -> None:
    """List the networks, with the figures published for them.

    Example: flyweight list 'mobilenet*'
    """
    from flyweight.zoo import list_models, model_info

    infos = [model_info(name) for name in list_models(pattern)]
    if not infos:
        raise UsageError(f"no network matches {pattern!r}: 'flyweight list' shows all")
    if json:
        as_json([dataclasses.asdict(info) for info in infos])
        return
    rows = []
    for info in infos:
        published = info.at(info.resolution)
        figures = ["", "", ""]
        if published:
            counts = (published.mflops, published.params_m)
            figures = [*map(optional, counts), one_decimal(published.top1_error)]
        rows.append([info.name, info.family, str(info.resolution), *figures])
    table(
        ["network", "family:", "input", "FLOPs (M madds)", "params (M)", "top-1 error (%)"],
        rows,
    )
    print(f"{len(rows)} networks; figures as published; 'flyweight info NAME' tells more of one")


def info_command(
    name: Annotated[str, typer.Argument(help="A name that 'flyweight list' shows.")],
    json: Json = False,
) -> None:
    """Tell what is known of a network: its paper's figures beside our counts.

    Example: flyweight info shufflenet_v2_x1_0
    """
    import torch

    from flyweight.catalogue import beside
    from flyweight.zoo import create_model, model_info

    info = model_info(name)
    with torch.device("meta"):
        network = create_model(name)
    lines = beside(name)
    counted = {line.published.resolution: line.counted for line in lines}
    if json:
        as_json(
            {
                **dataclasses.asdict(info),
                "min_size": network.min_size,
                "stages": [dataclasses.asdict(stage) for stage in network.stage_info],
                "counted": {size: dataclasses.asdict(counts) for size, counts in counted.items()},
            }
        )
        return
    print(f"{info.name}: {info.family}\n{info.paper}\n")
    table(
        ["published by", "input", "FLOPs (M madds)", "counted", "difference", "params (M)",
         "counted", "top-1 error (%)", "GPU batches/s", "ARM images/s"],
        [
            [line.published.source, str(line.published.resolution),
             optional(line.published.mflops), millions(line.counted.madds),
             "" if line.madds_off is None else f"{line.madds_off:+.1%}",
             optional(line.published.params_m), f"{line.counted.params / 1e6:.3f}",
             one_decimal(line.published.top1_error), optional(line.published.gpu_batches_per_s),
             optional(line.published.arm_images_per_s)]
            for line in lines
        ],
    )  # fmt: skip
    print()
    table(
        ["counted here", "FLOPs (M madds)", "params (M)", "memory access (M elements)"],
        [
            [f"{size} x {size}", millions(c.madds), millions(c.params), millions(c.memory_access)]
            for size, c in counted.items()
        ],
    )
    print()
    table(
        ["stage", "channels", "stride"],
        [[stage.name, str(stage.channels), str(stage.stride)] for stage in network.stage_info],
    )
    print(f"\nSmallest input: {network.min_size} x {network.min_size}")
    print(f"Options: {', '.join(info.accepts)}")
    for kind, text in (("From the paper", info.from_paper), ("Our reading", info.our_reading)):
        if text:
            print(f"{kind}: {text}")
    for text in dict.fromkeys(row.note for row in info.published if row.note):
        print(f"Note: {text}")
