"""`flyweight export`: a network as a file for another engine."""

from pathlib import Path
from typing import Annotated

import typer

from flyweight.cli import arguments
from flyweight.cli.options import Json
from flyweight.cli.output import as_json


def export_command(
    name: Annotated[
        str,
        typer.Argument(
            help="A name that 'flyweight list' shows, package.module:factory, or the folder of a"
            " training run."
        ),
    ],
    out: Annotated[
        Path, typer.Option(help="The file: .onnx, .xml (with a .bin) or .pt2; a folder for c.")
    ],
    format: Annotated[
        str | None,
        typer.Option(help="onnx, openvino, torch or c, if not as the file's name ends."),
    ] = None,
    lowered: Annotated[
        bool,
        typer.Option("--lowered", help="Lower the network for the format's engine first."),
    ] = False,
    weights: Annotated[
        Path | None, typer.Option(help="A file of trained weights; fresh ones without it.")
    ] = None,
    input: Annotated[
        str | None,
        typer.Option(
            "--input", help="Image side, or channels,height,width, if not the network's own."
        ),
    ] = None,
    images: Annotated[
        list[Path] | None,
        typer.Option(help="Photographs, or folders of them, to check the file on; repeatable."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite files.")] = False,
    cpu: Annotated[
        str | None,
        typer.Option(
            help="c: cut up for native (this machine, the default), avx512, avx2, neon, portable."
        ),
    ] = None,
    pixels: Annotated[
        str | None,
        typer.Option(
            help="c: float32 (the default), or uint8 for RGB bytes, the preprocessing folded in."
        ),
    ] = None,
    layout: Annotated[
        str | None, typer.Option(help="c: NCHW (the default), or NHWC; bytes are NHWC.")
    ] = None,
    json: Json = False,
) -> None:
    """Write a network for other engines, and check the file against PyTorch before it is there.

    Example: flyweight export squeezenet_1_1 --weights squeezenet.safetensors --out squeezenet.onnx

    Example: flyweight export shufflenet_v2_x0_5 --format c --pixels uint8 --out shufflenet/

    Example: flyweight export runs/flowers --format c --pixels uint8 --out flowers/
    """
    size = None if input is None else (1, *arguments.image(input))

    from flyweight.api import export

    exported = export(
        name, out, format, size, weights, images or (), lowered=lowered, force=force,
        cpu=cpu, pixels=pixels, layout=layout,
    )  # fmt: skip
    if json:
        as_json(exported.to_json())
    else:
        print(exported)
