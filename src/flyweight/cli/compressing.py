"""What `flyweight compress` shows: each step's size, accuracy and time, and a file's layers."""

import copy
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flyweight.cli.output import Bar, as_json, note, table
from flyweight.errors import FlyweightError

if TYPE_CHECKING:
    from flyweight.compress.coded import Packed
    from flyweight.compress.pipeline import Stage
    from flyweight.compress.sizes import LayerSize
    from flyweight.evaluating.result import Share
    from flyweight.measuring import Measurements
    from flyweight.trained import Trained

FILE = "the file"


def show_stages(
    name: str,
    trained: "Trained",
    stages: "Sequence[Stage]",
    out: Path,
    size: int,
    engine: str,
    budget_s: float,
    bar: Bar,
    json: bool,
) -> None:
    """Show the steps with size, accuracy and time.

    Args:
        name: of the network.
        trained: its preprocessing, and the network that ends as it is decoded.
        stages: the steps.
        out: the file.
        size: of it, in bytes.
        engine: that tells the time.
        budget_s: for it.
        bar: for progress.
        json: whether JSON is printed.

    Raises:
        FlyweightError: a file that doesn't hold what was compressed.
    """
    from flyweight.compress.files import read_packed

    last = stages[-1]
    decoded = read_packed(out).values()
    if set(decoded) != set(last.state) or any(
        (decoded[key] != last.state[key]).any() for key in decoded
    ):
        raise FlyweightError(f"{out} doesn't hold what was compressed: it was damaged on the disk")
    rows = [*stages, dataclasses.replace(last, name=FILE, bytes=size)]
    measured = _measured(trained, rows, engine, budget_s, bar)
    found = [_row(one, rows[0], measured) for one in rows]
    if json:
        as_json({"network": name, "file": str(out), "engine": engine, "steps": found})
        return
    times = rows[0].bytes / size
    print(f"{name}: {rows[0].bytes:,} bytes become {size:,}, {times:.1f} times fewer")
    with_accuracy = last.accuracy is not None
    table(
        ["step", "density", "bits", "bytes", "times smaller",
         *(["top-1 right", "95% interval"] if with_accuracy else []),
         *(["ms", "time over the first"] if measured else [])],
        [_cells(row, with_accuracy, measured is not None) for row in found],
    )  # fmt: skip
    print(
        "Until the weights are shared, bytes are those of all tensors as they are run, then of"
        " pairs of a weight and a gap of 4 bits; the file has Huffman codes."
    )
    if measured is not None:
        print(
            f"ms on {engine}, one thread, interleaved. Weights are decoded before they run, so what"
            " is smaller isn't faster by that alone."
        )
    if not with_accuracy:
        note("flyweight: without --data the accuracy isn't known: see 'flyweight evaluate'")


def _measured(
    trained: "Trained", rows: "Sequence[Stage]", engine: str, budget_s: float, bar: Bar
) -> "Measurements | None":
    """The time of the network after each step, or None where the engine doesn't run it."""
    import numpy as np
    import torch
    from torch import nn

    from flyweight.api import make_runner
    from flyweight.engines import Options
    from flyweight.measuring import measure

    side = trained.preprocessing.crop
    first = next((one for one in trained.model.modules() if isinstance(one, nn.Conv2d)), None)
    channels = 3 if first is None else first.in_channels
    example = np.random.default_rng(0).standard_normal((1, channels, side, side), np.float32)
    runners = {}
    try:
        for number, row in enumerate(rows):
            bar.show(f"preparing {engine}", number / len(rows))
            model = copy.deepcopy(trained.model).cpu().eval()
            model.load_state_dict({key: torch.from_numpy(v) for key, v in row.state.items()})
            runners[row.name] = make_runner(model, example, engine, Options(1))
        return measure(runners, budget_s, bar.step)
    except FlyweightError as error:
        note(f"flyweight: the time isn't known: {error}")
        return None


def _row(one: "Stage", first: "Stage", measured: "Measurements | None") -> dict[str, Any]:
    row: dict[str, Any] = {
        "step": one.name,
        "density": one.density,
        "bits": one.bits,
        "bytes": one.bytes,
        "times_smaller": first.bytes / one.bytes,
    }
    if one.accuracy is not None:
        row["top1"] = _share(one.accuracy.top1)
        row["top5"] = None if one.accuracy.top5 is None else _share(one.accuracy.top5)
    if measured is not None:
        ratio = measured.ratio(one.name, first.name)
        row["median_s"] = measured.record(one.name).median_s
        row["time_over_first"] = {"value": ratio.value, "interval_95": [ratio.low, ratio.high]}
    return row


def _share(share: "Share") -> dict[str, Any]:
    return {"correct": share.correct, "n": share.n, "interval_95": share.interval}


def _cells(row: dict[str, Any], with_accuracy: bool, timed: bool) -> list[str]:
    cells = [
        row["step"], f"{row['density']:.1%}", str(row["bits"]), f"{row['bytes']:,}",
        f"{row['times_smaller']:.2f}",
    ]  # fmt: skip
    if with_accuracy:
        top1 = row["top1"]
        low, high = top1["interval_95"]
        cells += [f"{top1['correct']} of {top1['n']}", f"{low:.1%} to {high:.1%}"]
    if timed:
        ratio = row["time_over_first"]
        low, high = ratio["interval_95"]
        cells += [f"{1e3 * row['median_s']:.3f}", f"{ratio['value']:.3f} ({low:.3f}-{high:.3f})"]
    return cells


def show_repacked(out: Path, size: int, packed: "Packed", json: bool) -> None:
    """Say what a compressed file has become."""
    before = packed.bytes_before
    if json:
        as_json({"file": str(out), "bytes": size, "bytes_before": before})
        return
    print(f"wrote {out}: {size:,} bytes, {before / size:.1f} times fewer than {before:,}")
    print("its weights are those of the file that was read, code by code")


def show_content(path: Path, json: bool) -> int:
    """Show what each tensor of a file takes."""
    from flyweight.compress.container import read_container, read_content
    from flyweight.compress.published import SUFFIX, read_published
    from flyweight.compress.sizes import layer_sizes, stream_sizes

    if path.suffix == SUFFIX:
        packed = read_published(path)
        size, metadata, sizes = path.stat().st_size, packed.metadata, stream_sizes(packed)
    else:
        read_container(path)  # every code is one
        content = read_content(path)
        size, metadata, sizes = content.size, content.metadata, layer_sizes(content)
    if json:
        as_json(
            {
                "file": str(path),
                "bytes": size,
                "metadata": dict(metadata),
                "tensors": [{**dataclasses.asdict(one), "after": one.after} for one in sizes],
            }
        )
        return 0
    _print_content(path, size, sizes)
    return 0


def _print_content(path: Path, size: int, sizes: "Sequence[LayerSize]") -> None:
    coded = [one for one in sizes if one.density is not None]
    plain = [one for one in sizes if one.density is None]
    before = sum(one.before for one in sizes)
    table(
        ["layer", "weights", "density", "bits", "entropy", "gaps' entropy", "codebook", "codes",
         "gaps", "bytes", "times smaller"],
        [
            [
                one.name, f"{one.weights:,}", f"{one.density:.1%}", str(one.bits),
                f"{one.code_entropy:.2f}",
                "dense" if one.gap_entropy is None else f"{one.gap_entropy:.2f}",
                f"{one.codebook:,}", f"{one.codes:,}", f"{one.gaps:,}", f"{one.after:,}",
                f"{one.before / one.after:.1f}" if one.after else "",
            ]
            for one in coded
        ],
    )  # fmt: skip
    others = sum(one.plain for one in plain)
    heads = size - others - sum(one.after for one in coded)
    print(
        f"{path}: {size:,} bytes, {before / size:.1f} times fewer than {before:,}: codebooks"
        f" {sum(one.codebook for one in coded):,}, codes {sum(one.codes for one in coded):,}, gaps"
        f" {sum(one.gaps for one in coded):,}, {len(plain)} other tensors {others:,}, names and"
        f" metadata {heads:,}"
    )
    weights, kept = (
        sum(one.weights for one in coded),
        sum((one.density or 0) * one.weights for one in coded),
    )
    print(f"{kept / weights:.1%} of {weights:,} weights in {len(coded)} layers aren't zero")
