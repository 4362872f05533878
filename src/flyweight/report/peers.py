"""The native engine among its peers: every network's time on each, over the native engine's."""

import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from flyweight.records import NetworkFacts, Ratio, Record, mean_of_instances, paired_ratio
from flyweight.report.saving import write_chart

FLOOR = "floor"
"""What the runner is called that does `FLOOR_MADDS` multiply-adds as fast as one core can."""


@dataclass(frozen=True)
class Standing:
    """One network on the native engine and on its peers, timed in the same rounds.

    Attributes:
        network: its name.
        facts: what is known of it.
        native_s: median time on the native engine, in seconds.
        over_floor: that over the time that its multiply-adds alone take on one core.
        over_native: each peer's time over the native engine's; "ENGINE+lowered" ran our lowered
            graph, the others the plain network.
    """

    network: str
    facts: NetworkFacts
    native_s: float
    over_floor: float
    over_native: dict[str, Ratio]

    @property
    def best_peer(self) -> str:
        """The fastest engine that runs the plain network."""
        plain = [engine for engine in self.over_native if "+" not in engine]
        return min(plain, key=lambda engine: self.over_native[engine].value)

    @property
    def gain(self) -> Ratio:
        """The best peer's time over the native engine's."""
        return self.over_native[self.best_peer]


def standings(records: Sequence[Record], floor_madds: int) -> list[Standing]:
    """A standing for each network that ran natively, in the order of the records.

    Several instances of a runner, told apart by "#1", "#2" ... in its name, count by their mean in
    each round.

    Args:
        records: whose runners are called "NETWORK@SIZE/ENGINE #INSTANCE".
        floor_madds: what the runner "floor" does.
    """
    networks: dict[str, dict[str, list[Record]]] = defaultdict(lambda: defaultdict(list))
    for record in records:
        network, _, engine = record.runner.partition("/")
        networks[network][engine.split(" #")[0]].append(record)
    found = []
    for network, engines in networks.items():
        means = {
            engine: mean_of_instances([record.samples_s for record in group])
            for engine, group in engines.items()
        }
        native, floor = means.pop("native", None), means.pop(FLOOR, None)
        facts = engines["native"][0].network if native is not None else None
        if native is None or floor is None or facts is None:
            continue
        rounds = min(len(native), len(floor))
        over_floor = float(np.median(native[:rounds] / floor[:rounds])) * floor_madds / facts.madds
        over_native = {
            engine: paired_ratio(times.tolist(), native.tolist()) for engine, times in means.items()
        }
        name = network.removesuffix("@224")
        found.append(Standing(name, facts, float(np.median(native)), over_floor, over_native))
    return found


def geometric_mean_gain(found: Sequence[Standing]) -> float:
    """Of the best peers' times over the native engine's."""
    return statistics.geometric_mean(one.gain.value for one in found)


def write_standings_png(found: Sequence[Standing], subtitle: Sequence[str], path: Path) -> None:
    """Draw every peer's time over the native engine's, a row for each network, as PNG.

    Raises:
        FlyweightError: the file can't be written; what was there before is kept.
    """
    import altair as alt

    from flyweight.report.look import INK, config

    ordered = sorted(found, key=lambda one: -one.gain.value)
    order = [one.network for one in ordered]
    rows = [
        {"network": one.network, "engine": engine, "ratio": ratio.value}
        for one in ordered
        for engine, ratio in one.over_native.items()
        if "+" not in engine
    ]
    engines = sorted({str(row["engine"]) for row in rows})
    scale = alt.Scale(domain=engines, range=_COLOURS[: len(engines)])
    y = alt.Y("network:N", sort=order, title=None, axis=alt.Axis(labelColor=INK))
    points = (
        alt.Chart(alt.InlineData(values=rows))
        .mark_point(filled=True, size=55, opacity=0.9)
        .encode(
            x=alt.X(
                "ratio:Q", title="time on the engine / time on native",
                scale=alt.Scale(type="log", nice=False),
                axis=alt.Axis(values=[0.7, 0.8, 1, 1.25, 1.5, 2, 3, 4, 6, 8, 12], format="~g"),
            ),
            y=y,
            color=alt.Color("engine:N", title="engine", scale=scale),
            shape=alt.Shape("engine:N", title="engine", scale=alt.Scale(domain=engines)),
        )
    )  # fmt: skip
    one = alt.Chart(alt.InlineData(values=[{"x": 1}])).mark_rule(color=INK, strokeDash=[4, 3])
    title = alt.TitleParams(
        "The native engine and its peers",
        subtitle=["Right of the line native is faster.", *subtitle],
        fontSize=18, subtitleFontSize=12, offset=18,
    )  # fmt: skip
    chart = alt.layer(one.encode(x="x:Q"), points).properties(width=620, height=16 * len(order))
    drawn = alt.vconcat(chart, title=title, padding=20, config=config())
    write_chart(drawn, path)


_COLOURS = ("#8a8f98", "#b07aa1", "#4e79a7", "#2f9e6e", "#e08a2e", "#d1495b")
