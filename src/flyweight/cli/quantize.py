"""`flyweight quantize`: a network in int8, what that costs in accuracy and brings in time."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from flyweight.cli.arguments import positive, seconds
from flyweight.cli.keeping import INTERRUPTED
from flyweight.cli.options import Budget, Json, Threads
from flyweight.cli.output import Bar, as_json, note, table
from flyweight.errors import UsageError
from flyweight.files import check_folder

if TYPE_CHECKING:
    from flyweight.exporting import Source
    from flyweight.quantizing import Quantized, Sensitive, Settings

SHOWN = 10
"""Images that could not be read, of which each gets a line; and layers that are shown."""


def quantize_command(
    name: Annotated[
        str,
        typer.Argument(
            help="A name that 'flyweight list' shows, package.module:factory, or the folder of a"
            " training run."
        ),
    ],
    calibrate: Annotated[
        list[Path],
        typer.Option(help="Images to calibrate on, or folders of them, without labels; repeat."),
    ],
    data: Annotated[
        Path, typer.Option(help="A folder of other, labelled images to count accuracy on.")
    ],
    weights: Annotated[
        Path | None, typer.Option(help="A file of trained weights; a run has its own.")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="A text file of labels, as for 'flyweight evaluate'.")
    ] = None,
    resize: Annotated[
        Literal["crop", "squash", "none"],
        typer.Option(help="How images become squares, as for 'flyweight evaluate'."),
    ] = "crop",
    engine: Annotated[
        list[str] | None,
        typer.Option(help="onnxruntime, openvino; all that are installed if not given."),
    ] = None,
    also: Annotated[
        list[str] | None,
        typer.Option(help="An engine to time in float32 in the same rounds, such as native."),
    ] = None,
    images: Annotated[int, typer.Option(help="Images to calibrate on, evenly spread.")] = 300,
    limit: Annotated[
        int | None, typer.Option(help="Count accuracy on so many images, evenly spread over all.")
    ] = None,
    spare_bit: Annotated[
        Literal["first", "all", "none"],
        typer.Option(
            help="Layers whose weights keep a bit free, so that CPUs without VNNI don't overflow."
        ),
    ] = "first",
    keep: Annotated[
        list[str] | None, typer.Option(help="A layer that stays in float32; repeatable.")
    ] = None,
    keep_worst: Annotated[
        int, typer.Option(help="Keep so many layers, those that int8 alone hurts most.")
    ] = 0,
    sensitive: Annotated[
        bool, typer.Option("--sensitive", help="Show the layers that int8 alone hurts most.")
    ] = False,
    input: Annotated[
        int | None, typer.Option("--input", help="Input side in pixels, if not the network's own.")
    ] = None,
    threads: Threads = 1,
    budget: Budget = "20s",
    out: Annotated[Path | None, typer.Option(help="A folder for the int8 files.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite files.")] = False,
    json: Json = False,
) -> int:
    """Quantise a trained network to int8; show accuracy before and after, file size and time.

    ONNX Runtime's own tool, and NNCF for OpenVINO: static, from real images. Images that can't be
    read are reported and not counted; the exit code is then 1.

    Example: flyweight quantize mobilenet_v2_x1_0 --weights v2.safetensors --calibrate photos/
    --data val/ --out int8/

    Example: flyweight quantize runs/flowers --calibrate photos/ --data val/ --keep-worst 2
    """
    for option, value in (("--limit", limit), ("--input", input), ("--threads", threads)):
        if value is not None:
            positive(option, value)
    if keep_worst < 0:
        raise UsageError(f"--keep-worst must be 0 or more, not {keep_worst}")
    positive("--images", images)
    budget_s = seconds(budget)
    if out is not None:
        check_folder(out)

    from flyweight.api import network_facts
    from flyweight.quantizing import (
        Photographs,
        Settings,
        Timing,
        Watch,
        quantize,
        sensitive_layers,
    )

    engines = _engines(engine)
    source = _source(name, weights, input)
    photographs = Photographs(tuple(calibrate), data, labels, resize, limit)
    settings = Settings(images, spare_bit, tuple(keep or ()))
    facts = network_facts(source.model, (1, *source.input_shape), source.network)
    timing = Timing(threads, budget_s, tuple(also or ()), facts)
    with Bar() as bar:
        worst: tuple[Sensitive, ...] = ()
        if sensitive or keep_worst:
            worst = sensitive_layers(source, photographs, settings, threads, bar.show)
            kept = (*settings.keep, *(one.layer.name for one in worst[:keep_worst]))
            settings = replace(settings, keep=kept)
        result = quantize(
            source, photographs, engines, settings, timing, out, force, Watch(bar.show, bar.step)
        )
    if json:
        as_json({**result.to_json(), "sensitive": [_layer_as_json(one) for one in worst]})
    else:
        _print(result, settings, resize)
        if sensitive:
            _print_layers(worst)
    _tell_skipped(result)
    if result.interrupted:
        note("flyweight: interrupted; the times are of the rounds until then")
        return INTERRUPTED
    return 1 if result.skipped else 0


def _engines(named: list[str] | None) -> list[str]:
    """Those that were named, or all whose tools are there; a line says what the others need."""
    from flyweight.quantizing import TOOLS

    if named:
        return named
    for tool in TOOLS.values():
        if tool.missing:
            note(f"flyweight: without {tool.engine}: {tool.missing} is missing: {tool.install}")
    return [tool.engine for tool in TOOLS.values() if not tool.missing]


def _source(name: str, weights: Path | None, side: int | None) -> "Source":
    """The network, with trained weights, at an input side.

    Raises:
        UsageError: a network of the zoo without weights.
    """
    from flyweight.trained import run_folder, source_of
    from flyweight.zoo import model_info

    if weights is None and ":" not in name and run_folder(name) is None:
        model_info(name)
        raise UsageError(f"{name}: give --weights FILE, or the folder of a training run")
    source = source_of(name, weights)
    if source.preprocessing is None:
        from flyweight.zoo.preprocessing import IMAGENET

        source = replace(source, preprocessing=IMAGENET.at(source.input_shape[-1]))
        note(f"flyweight: nothing says what {name} expects of images: prepared as ImageNet's are")
    return source if side is None else source.at(side, side)


def _print(result: "Quantized", settings: "Settings", resize: str) -> None:
    from flyweight.quantizing import COLUMNS, rows

    print(
        f"{result.network} on {result.n} images of {result.data} ({resize}), calibrated on"
        f" {result.calibrated} others"
    )
    table(COLUMNS, rows(result.pairs))
    for record in result.beside:
        print(f"{record.runner}: float32 in {record.median_s * 1e3:.2f} ms, in the same rounds")
    for pair in result.pairs:
        print(*pair.sentences(), sep="\n")
    if settings.keep:
        print(f"in float32: {', '.join(settings.keep)}")
    for pair in result.pairs:
        if pair.files:
            print(f"wrote {' and '.join(map(str, pair.files))}")
    for sentence in result.doubts():
        print(f"Doubt: {sentence}")


def _print_layers(worst: Sequence["Sensitive"]) -> None:
    """The layers that int8 alone hurts most."""
    print()
    table(
        ["layer", "weights:", "signal to noise (dB)"],
        [
            [one.layer.name, "x".join(map(str, one.layer.shape)), f"{one.signal_to_noise:.1f}"]
            for one in worst[:SHOWN]
        ],
        "In int8 alone, the layers whose noise in the scores is largest:",
    )


def _layer_as_json(one: "Sensitive") -> dict[str, Any]:
    finite = math.isfinite(one.signal_to_noise)
    return {
        "layer": one.layer.name,
        "shape": one.layer.shape,
        "signal_to_noise_db": one.signal_to_noise if finite else None,
    }


def _tell_skipped(result: "Quantized") -> None:
    """A line for the first images that could not be read, and how many there are."""
    for one in result.skipped[:SHOWN]:
        note(f"flyweight: skipped: {one.reason}")
    if len(result.skipped) > SHOWN:
        note(f"flyweight: skipped: {len(result.skipped) - SHOWN} more (--json lists all)")
