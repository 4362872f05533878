"""What lowering brings: the ratio lowered over plain of every network, from records of both."""

import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from flyweight.records import Ratio, Record, mean_of_instances, paired_ratio
from flyweight.report.saving import write_chart


@dataclass(frozen=True)
class Gain:
    """One network on one engine, plain and lowered.

    Attributes:
        network: its name, with the input size where that isn't 224 pixels.
        family: of the network, where known.
        engine: what ran it.
        dtype: the precision that ran.
        plain_s: median time of the plain network, in seconds.
        lowered_s: of the lowered one.
        ratio: lowered over plain, paired by round.
    """

    network: str
    family: str | None
    engine: str
    dtype: str
    plain_s: float
    lowered_s: float
    ratio: Ratio


def gains(records: Sequence[Record]) -> list[Gain]:
    """A gain for each network, engine and precision of which there are both forms.

    Several instances of a form, told apart by "#1", "#2" ... in the runner's name, count by their
    mean in each round.
    """
    groups: dict[tuple[str, str, str], list[Record]] = defaultdict(list)
    for record in records:
        network = record.runner.partition("/")[0].removesuffix("@224")
        about = record.environment
        groups[network, about.engine or "", about.dtype or ""].append(record)
    found = []
    for (network, engine, dtype), group in groups.items():
        means = []
        for lowered in (False, True):
            form = [r.samples_s for r in group if bool(r.environment.lowered) is lowered]
            means.append(mean_of_instances(form) if form else None)
        plain, low = means
        if plain is not None and low is not None:
            facts = group[0].network
            medians = float(np.median(plain)), float(np.median(low))
            ratio = paired_ratio(low.tolist(), plain.tolist())
            family = facts.family if facts else None
            found.append(Gain(network, family, engine, dtype, *medians, ratio))
    return found


def geometric_mean(gains: Sequence[Gain]) -> float:
    """Of the ratios."""
    return statistics.geometric_mean(gain.ratio.value for gain in gains)


def write_gains_png(records: Sequence[Record], path: Path) -> None:
    """Draw every network's ratio with its interval, the engines side by side, as PNG.

    Raises:
        FlyweightError: the file can't be written; what was there before is kept.
    """
    import altair as alt

    from flyweight.report import palette
    from flyweight.report.look import INK, config

    drawn = gains(records)
    rows = [
        {
            "network": gain.network, "family": gain.family or "", "ratio": gain.ratio.value,
            "low": gain.ratio.low, "high": gain.ratio.high,
            "engine": f"{gain.engine}, {gain.dtype}",
        }
        for gain in drawn
    ]  # fmt: skip
    by_network: dict[str, list[Gain]] = defaultdict(list)
    for gain in drawn:
        by_network[gain.network].append(gain)
    order = sorted(by_network, key=lambda name: geometric_mean(by_network[name]))
    colours = palette.colours([row["family"] for row in rows if isinstance(row["family"], str)])
    y = alt.Y("network:N", sort=order, title=None, axis=alt.Axis(labelColor=INK))
    colour = alt.Color(
        "family:N",
        title="family",
        scale=alt.Scale(domain=list(colours), range=list(colours.values())),
    )
    panels = []
    for engine in sorted({str(row["engine"]) for row in rows}):
        base = alt.Chart(alt.InlineData(values=[row for row in rows if row["engine"] == engine]))
        one = alt.Chart(alt.InlineData(values=[{"x": 1}])).mark_rule(color=INK, strokeDash=[4, 3])
        height = 15 * len(order)
        layers = [
            one.encode(x="x:Q"),
            base.mark_rule(strokeWidth=1.5, opacity=0.6).encode(
                x=alt.X(
                    "low:Q", title="time lowered / plain", scale=alt.Scale(zero=False, nice=True)
                ),
                x2="high:Q", y=y, color=colour,
            ),
            base.mark_point(filled=True, size=60).encode(x="ratio:Q", y=y, color=colour),
        ]  # fmt: skip
        panels.append(alt.layer(*layers).properties(title=engine, width=360, height=height))
    title = alt.TitleParams(
        "Lowered against plain",
        subtitle=["Left of the line is faster. Bars: 95% intervals.", *_machines(records)],
        fontSize=18, subtitleFontSize=12, offset=18,
    )  # fmt: skip
    chart = alt.hconcat(*panels, spacing=30).resolve_scale(x="shared", y="shared")
    drawn_chart = alt.vconcat(chart, title=title, padding=20, config=config())
    write_chart(drawn_chart, path)


def _machines(records: Sequence[Record]) -> list[str]:
    return sorted({record.environment.cpu for record in records})
