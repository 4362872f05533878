"""From where on unequal widths, groups, fragments and odd channel counts cost time.

The thresholds of flyweight.advising.thresholds come from this. Networks of the ShuffleNet V2
paper's experiments (section 2) at equal FLOPs, one thing varied at a time, all of a series in the
same rounds. Writes results/<machine>/advice_thresholds.jsonl. On an idle machine:

    .venv/bin/python benchmarks/advice_thresholds.py [SECONDS A SERIES]
"""

import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from resuming import resume
from torch import nn

from flyweight.advising.thresholds import ENGINES_TIMED, SERIES_TIMED
from flyweight.engines import Options, engine_named
from flyweight.measuring import measure
from flyweight.records import Record
from flyweight.studies.guidelines import fragmented, grouped, unequal

SIZE = 56


def network(series: str, level: int) -> tuple[Callable[[], nn.Module], int]:
    """How a network is made, and the channels of its input."""
    if series == "widths":  # 1 : level
        narrow = round(64 / level**0.5)
        return partial(unequal, narrow, narrow * level), narrow
    if series == "groups":
        channels = round(64 * level**0.5 / 8) * 8
        return partial(grouped, channels, level), channels
    if series == "channels":
        return partial(grouped, level, 1), level
    width = 64 if level == 1 else round(64 / level**0.5)
    return partial(fragmented, 64, level, series == "parallel"), width


def timed(engine: str, series: str, levels: tuple[int, ...], seconds: float) -> list[Record]:
    """Records of a series."""
    run = engine_named(engine).load()
    runners = {}
    for level in levels:
        make, channels = network(series, level)
        torch.manual_seed(0)
        example = np.random.default_rng(0).standard_normal((1, channels, SIZE, SIZE), np.float32)
        runner = run(make().eval(), example, Options(1))
        name = f"{engine} {series} {level}"
        runners[name] = replace(runner, network=name)
    found = measure(runners, seconds)
    for name, ratio in found.ratios(next(iter(runners))).items():
        print(f"{name}: {ratio.value:.3f} ({ratio.low:.3f}-{ratio.high:.3f})", flush=True)
    return found.records


def main(seconds: str = "10") -> None:
    """Time all series."""
    resume(
        "advice_thresholds.jsonl",
        {
            f"{engine} {series} ": partial(timed, engine, series, levels, float(seconds))
            for engine in ENGINES_TIMED
            for series, levels in SERIES_TIMED.items()
        },
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
