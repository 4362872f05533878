"""Write the generated parts of README and docs from the committed records and from the zoo.

.venv/bin/python docs/generate.py                  rewrite them
.venv/bin/python docs/generate.py docs/results.md  only this one, with its pictures
.venv/bin/python docs/generate.py --check          fail if they are not as they would be written now
"""

import functools
import json
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from flyweight.native.tuning import FLOOR_MADDS
from flyweight.records import Record, read_records
from flyweight.report import summary, write_png
from flyweight.report.lowering import Gain, gains, geometric_mean, write_gains_png
from flyweight.report.peers import (
    Standing,
    geometric_mean_gain,
    standings,
    write_standings_png,
)

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "docs"))
import compression  # noqa: E402
import decomposed  # noqa: E402
import famous  # noqa: E402
import int8  # noqa: E402
import networks  # noqa: E402
import papers  # noqa: E402
import planted  # noqa: E402
import training  # noqa: E402

RECORDS = ROOT / "results" / "intel-xeon-processor-amx-2-cores" / "table8.jsonl"
PICTURE = ROOT / "docs" / "images" / "table8.png"
LOWERING = ROOT / "results" / "amd-epyc-2-cores" / "lowering.jsonl"
LOWERING_PICTURE = ROOT / "docs" / "images" / "lowering.png"
NATIVE = ROOT / "results" / "amd-epyc-avx512-2-cores" / "native.jsonl"
NATIVE_SIZES = ROOT / "results" / "amd-epyc-avx512-2-cores" / "native_sizes.json"
NATIVE_PICTURE = ROOT / "docs" / "images" / "native.png"
PEERS = ("eager", "compile", "onnxruntime", "onnxruntime+lowered", "openvino", "openvino+lowered",
         "ncnn")  # fmt: skip
ENGINES = ("eager", "compile", "openvino", "onnxruntime")
SHOWN = "onnxruntime"


def network(record: Record) -> str:
    """The network's name, with its input size where that isn't 224 pixels."""
    return record.runner.rpartition("/")[0]


def on(engine: str, records: Sequence[Record]) -> list[Record]:
    """The records of one engine."""
    return [record for record in records if record.environment.engine == engine]


def table8(records: Sequence[Record]) -> str:
    """Times of every network on every engine, the fewest FLOPs first."""
    times = {record.runner: record for record in records}
    rows = [
        "| network | FLOPs (M multiply-adds) | published top-1 error (%) | "
        + " | ".join(f"{engine} (ms)" for engine in ENGINES)
        + " |",
        "| --- | ---: | ---: | " + " | ".join("---:" for _ in ENGINES) + " |",
    ]
    shown = [record for record in on(SHOWN, records) if record.network]
    for record in sorted(shown, key=lambda r: r.network.madds if r.network else 0):
        facts = record.network
        assert facts is not None
        cells = [
            f"{times[f'{network(record)}/{engine}'].median_s * 1e3:.2f}"
            if f"{network(record)}/{engine}" in times
            else ""
            for engine in ENGINES
        ]
        error = "" if facts.top1_error is None else f"{facts.top1_error:.1f}"
        rows.append(
            f"| {network(record)} | {facts.madds / 1e6:.0f} | {error} | {' | '.join(cells)} |"
        )
    return "\n".join(rows)


def how(records: Sequence[Record]) -> str:
    """Where, when and how the records were measured, in a sentence."""
    about = records[0].environment
    versions = ", ".join(
        f"{name} {version}"
        for name, version in sorted(
            {k: v for r in records for k, v in r.environment.libraries.items()}.items()
        )
    )
    spreads = sorted(record.iqr_s / record.median_s for record in records)
    return (
        f"Medians of {records[0].n} interleaved rounds on one core of {about.cpu}"
        f" ({about.cores} cores, {about.instruction_sets[-1]}), batch {about.batch}, {about.dtype},"
        f" {records[0].started[:10]}; the middle half of the samples spreads over"
        f" {spreads[len(spreads) // 2]:.1%} of the median (at most {spreads[-1]:.1%})."
        f" {versions}."
    )


def said(records: Sequence[Record]) -> str:
    """What the records of one engine show, in two sentences."""
    return summary(on(SHOWN, records))


def lowering(records: Sequence[Record]) -> str:
    """Every network plain and lowered, the largest gain first, and the ShuffleNets' mean."""
    found: dict[str, dict[str, Gain]] = {}
    for gain in gains(read_records(LOWERING)):
        engine = gain.engine if gain.dtype == "float32" else f"{gain.engine} {gain.dtype}"
        found.setdefault(gain.network, {})[engine] = gain
    engines = sorted({engine for row in found.values() for engine in row})
    lines = [
        "| network | "
        + " | ".join(f"{e}: plain (ms) | lowered (ms) | ratio" for e in engines)
        + " |",
        "| --- |" + " ---: |" * (3 * len(engines)),
    ]
    for name in sorted(found, key=lambda name: geometric_mean(list(found[name].values()))):
        cells = [name]
        for engine in engines:
            gain, ratio = found[name][engine], found[name][engine].ratio
            interval = f"{ratio.value:.2f} ({ratio.low:.2f}-{ratio.high:.2f})"
            cells += [f"{gain.plain_s * 1e3:.2f}", f"{gain.lowered_s * 1e3:.2f}", interval]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def lowering_said(records: Sequence[Record]) -> str:
    """The mean gain of the ShuffleNets, the best and the worst network."""
    measured = read_records(LOWERING)
    found = gains(measured)
    sentences = []
    for engine in sorted({gain.engine for gain in found}):
        on_engine = [gain for gain in found if gain.engine == engine]
        shuffled = [
            gain
            for gain in on_engine
            if gain.family in ("ShuffleNet V1", "ShuffleNet V2") and "halved" not in gain.network
        ]
        worst = max(on_engine, key=lambda gain: gain.ratio.value)
        best = min(on_engine, key=lambda gain: gain.ratio.value)
        sentences.append(
            f"On {engine} the {len(shuffled)} ShuffleNets take"
            f" {geometric_mean(shuffled):.2f} of their time (geometric mean); over all networks the"
            f" ratios go from {best.ratio.value:.2f} ({best.network}) to"
            f" {worst.ratio.value:.2f} ({worst.network})."
        )
    about = measured[0]
    sentences.append(
        f"One core of {about.environment.cpu} ({about.environment.widest}), batch 1,"
        f" {about.started[:10]}; ratios paired by round, with 95% intervals."
    )
    return " ".join(sentences)


@functools.cache
def measured_native() -> list[Standing]:
    """Every network on the native engine and its peers."""
    return standings(read_records(NATIVE), FLOOR_MADDS)


def native(records: Sequence[Record]) -> str:
    """Every network on the native engine and its peers, the largest gain first, and its memory."""
    sizes = {row["network"]: row for row in json.loads(NATIVE_SIZES.read_text())}
    engines = " | ".join(engine.replace("+", ", ") for engine in PEERS)
    lines = [
        "| network | native (ms) | native / floor | best peer / floor | best peer / native |"
        f" {engines} | memory (MB): native, onnxruntime | files (MB): native, onnx |",
        "| --- |" + " ---: |" * (6 + len(PEERS)),
    ]
    for one in sorted(measured_native(), key=lambda one: -one.gain.value):
        low, high = one.gain.low, one.gain.high
        cells = [
            one.network, f"{one.native_s * 1e3:.2f}", f"{one.over_floor:.2f}",
            f"{one.over_floor * one.gain.value:.2f}",
            f"**{one.gain.value:.2f}** ({low:.2f}-{high:.2f})",
        ]  # fmt: skip
        for engine in PEERS:
            ratio = one.over_native.get(engine)
            cells.append("" if ratio is None else f"{ratio.value:.2f}")
        row = sizes.get(one.network)
        for ours, its in (("native_grows", "onnxruntime_grows"), ("native_weights", "onnx")):
            cells.append("" if row is None else f"{row[ours] / 1e6:.1f}, {row[its] / 1e6:.1f}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


NATIVE_GROUPS = (
    ("ShuffleNet V2", ("ShuffleNet V2",)), ("ShuffleNet V1", ("ShuffleNet V1",)),
    ("MobileNet V1 and V2", ("MobileNet V1", "MobileNet V2")),
    ("Xception light", ("Xception light",)), ("DenseNet light", ("DenseNet",)),
    ("IGCV2 and IGCV3", ("IGCV2", "IGCV3")), ("CondenseNet", ("CondenseNet",)),
)  # fmt: skip


def native_said(records: Sequence[Record]) -> str:
    """The mean gain of each family, the best and the worst network, and where it was measured."""
    found = measured_native()
    means = []
    for title, families in NATIVE_GROUPS:
        group = [one for one in found if one.facts.family in families]
        if group:
            means.append(f"{title} {geometric_mean_gain(group):.2f} ({len(group)})")
    best, worst = (pick(found, key=lambda one: one.gain.value) for pick in (max, min))
    about = read_records(NATIVE)[0]
    return (
        "The fastest peer's time over the native engine's, geometric means (networks):"
        f" {', '.join(means)}. Over all {len(found)} networks it goes from {worst.gain.value:.2f}"
        f" ({worst.network}, {worst.best_peer}) to {best.gain.value:.2f} ({best.network},"
        f" {best.best_peer}). One core of {about.environment.cpu}"
        f" ({about.environment.widest}), batch 1, float32, {about.started[:10]}; paired by round."
    )


def native_memory(records: Sequence[Record]) -> str:
    """What ONNX Runtime takes over what the native engine takes."""
    rows = json.loads(NATIVE_SIZES.read_text())
    ratios = sorted(row["onnxruntime_grows"] / row["native_grows"] for row in rows)
    small = next(row for row in rows if row["network"] == "shufflenet_v2_x0_5")
    return (
        f"A process that loads and runs ShuffleNet V2 0.5x grows by"
        f" {small['native_grows'] / 1e6:.1f} MB, weights and all; with ONNX Runtime by"
        f" {small['onnxruntime_grows'] / 1e6:.1f} MB. Over {len(rows)} networks it is"
        f" {ratios[0]:.1f} to {ratios[-1]:.1f} times as much. The code is"
        f" {small['native_code'] / 1e3:.0f} kB, ONNX Runtime's"
        f" {small['onnxruntime_code'] / 1e6:.0f} MB."
    )


PARTS: dict[str, Callable[[Sequence[Record]], str]] = {
    "table8": table8,
    "how": how,
    "said": said,
    "families": lambda records: networks.families(),
    "lowering": lowering,
    "lowering_said": lowering_said,
    "native": native,
    "native_said": native_said,
    "native_memory": native_memory,
    "decomposed": lambda records: decomposed.classes(),
    "decomposed_said": lambda records: decomposed.said(),
    "decomposed_bounds": lambda records: decomposed.bounds(),
    "decomposed_pictures": lambda records: decomposed.pictures(),
    "papers_said": lambda records: papers.said(),
    "planted": lambda records: planted.table(),
    "planted_said": lambda records: planted.said(),
    "advice_noise": lambda records: planted.noise(),
    "squeezenet_compressed": lambda records: compression.squeezenet_table(),
    "squeezenet_table_2": lambda records: compression.table_2(),
    "small_compressed": lambda records: compression.small_table(),
    "int8": lambda records: int8.table(),
    "int8_said": lambda records: int8.said(),
    "int8_tools": lambda records: int8.tools(),
    "int8_spare": lambda records: int8.spare_bits(),
    "int8_layers": lambda records: int8.layers(),
    "int8_kept": lambda records: int8.kept(),
    "input_pipeline": lambda records: training.pipeline(),
    "learned": lambda records: training.example(),
    "learned_broken": lambda records: training.broken(),
}


def generated(text: str, records: Sequence[Record]) -> str:
    """The text with everything between its `<!-- generated: NAME -->` markers written anew."""

    def part(match: re.Match[str]) -> str:
        return f"{match[1]}\n{PARTS[match[2]](records)}\n{match[3]}"

    return re.sub(r"(<!-- generated: (\w+) -->)\n.*?(<!-- end -->)", part, text, flags=re.DOTALL)


def readme() -> str:
    """README with what the records give."""
    return generated((ROOT / "README.md").read_text(encoding="utf-8"), read_records(RECORDS))


def page(name: str) -> str:
    """A page with what the records give."""
    return generated((ROOT / name).read_text(encoding="utf-8"), [])


IN_PARTS = ("advise", "compress", "decompose", "int8", "lowering", "native", "train")
"""Pages of docs/ that are written by hand but for some parts."""

PAGES: dict[str, Callable[[], str]] = {
    "README.md": readme,
    **{f"docs/{name}.md": functools.partial(page, f"docs/{name}.md") for name in IN_PARTS},
    "docs/famous.md": famous.page,
    "docs/networks.md": networks.page,
    "docs/results.md": papers.page,
}


def readme_picture() -> None:
    """Table 8's."""
    write_png(on(SHOWN, read_records(RECORDS)), PICTURE)


def lowering_picture() -> None:
    """What lowering brings."""
    write_gains_png(read_records(LOWERING), LOWERING_PICTURE)


def native_picture() -> None:
    """The native engine and its peers."""
    about = read_records(NATIVE)[0]
    where = f"One core of {about.environment.cpu} ({about.environment.widest}), batch 1, float32"
    write_standings_png(measured_native(), [where], NATIVE_PICTURE)


PICTURES: dict[str, Callable[[], None]] = {
    "README.md": readme_picture,
    "docs/decompose.md": decomposed.write_pictures,
    "docs/lowering.md": lowering_picture,
    "docs/native.md": native_picture,
    "docs/results.md": papers.write_pictures,
}


def stale(page: str) -> bool:
    """Whether a page says something else than it would if it were written now."""
    path = ROOT / page
    return not path.exists() or path.read_text(encoding="utf-8") != PAGES[page]()


def main(*arguments: str) -> int:
    """Rewrite the pages, or say which are stale."""
    pages = [name for name in arguments if name != "--check"] or list(PAGES)
    if strange := [name for name in pages if name not in PAGES]:
        print(
            f"not generated: {', '.join(strange)}; these are: {', '.join(PAGES)}", file=sys.stderr
        )
        return 2
    if "--check" in arguments:
        old = [name for name in pages if stale(name)]
        if old:
            print(f"not as generated: {', '.join(old)}; run 'make docs'", file=sys.stderr)
        return 1 if old else 0
    for name in pages:
        (ROOT / name).write_text(PAGES[name](), encoding="utf-8")
        if name in PICTURES:
            PICTURE.parent.mkdir(exist_ok=True)
            PICTURES[name]()
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
