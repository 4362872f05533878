"""`flyweight advise`: why a network is slow, and what would help, with proof."""

import json as json_module
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flyweight.cli.advise_hardware import advise_on_target, check_target
from flyweight.cli.arguments import seconds, shape
from flyweight.cli.keeping import INTERRUPTED, STDOUT
from flyweight.cli.options import Html
from flyweight.cli.output import Bar, note, table
from flyweight.files import check_writable, replaced

if TYPE_CHECKING:
    from flyweight.advising import Advice, Finding, Trial
    from flyweight.measuring import Progress

SHOWN = 5
"""Findings, changed layers and places that are printed; --json and --html have all."""


def advise_command(
    name: Annotated[
        str, typer.Argument(help="A network's name, package.module:factory, or model.onnx.")
    ],
    engine: Annotated[
        str | None,
        typer.Option(
            help="On which it is run now: onnxruntime (if not given), eager, openvino or native."
        ),
    ] = None,
    threads: Annotated[
        int | None, typer.Option(help="CPU threads, if no others are to be tried; else 1.")
    ] = None,
    input: Annotated[
        str | None,
        typer.Option(
            "--input",
            help="Image side, channels,height,width, or the whole shape: 8,3,224,224; what an"
            " .onnx file declares, or else 224.",
        ),
    ] = None,
    budget: Annotated[str, typer.Option(help="Time for all of it: 120s, 5m.")] = "120s",
    target: Annotated[
        str | None,
        typer.Option(help="accelerator:8x8 or accelerator:16x16, simulated; else this machine."),
    ] = None,
    apply: Annotated[
        Path | None,
        typer.Option(help="Write the network as exact advice has it: .onnx, .pt2, or a C folder."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="With --apply: overwrite files.")] = False,
    html: Html = None,
    json: Annotated[
        str | None, typer.Option("--json", help="Write all of it; '-' is stdout.")
    ] = None,
) -> int:
    """Say why a network is slow, and what would help: each advice is timed, and kept if it helps.

    Exact advice leaves the network's results as they are. Architectural advice is another network,
    which has to be trained; what it would bring is timed in place of the original.

    Example: flyweight advise shufflenet_v1_x1_0_g3 --html advice.html

    Example: flyweight advise my_package.my_module:my_network --engine eager --budget 5m

    Example: flyweight advise squeezenext_x1_0_23 --target accelerator:16x16
    """
    size, budget_s = None if input is None else input_shape(input), seconds(budget)
    for path in (html, None if json in (None, STDOUT) else Path(json or "")):
        if path is not None:
            check_writable(path)
    if target is not None:
        preset = check_target(target, {"engine": engine, "threads": threads, "apply": apply})
        advise_on_target(name, preset, target, size, html, json)
        return 0

    from flyweight.advice import advise, to_advise
    from flyweight.advising.applying import applied, target_for

    written = None if apply is None else target_for(apply, force)
    model = to_advise(name)
    with Bar() as bar:
        shown = _Shown(bar, budget_s)
        advice = advise(
            model, size, engine, threads, budget_s, network=name,
            told=shown.tell, progress=shown.step,
        )  # fmt: skip
    if json != STDOUT:
        print_advice(advice)
    _keep(advice, json)
    if html is not None:
        from flyweight.report.advice import write_advice_html

        write_advice_html(advice, html)
        note(f"wrote {html}")
    if written is not None:
        note(str(applied(model, advice, written)))
    if not advice.complete:
        note("flyweight: interrupted; what was known until then is shown")
        return INTERRUPTED
    return 0


class _Shown:
    """What is being tried, and how much of the time is over."""

    def __init__(self, bar: Bar, budget_s: float) -> None:
        self._bar, self._budget_s = bar, budget_s
        self._begun, self._doing = time.monotonic(), ""

    def tell(self, text: str) -> None:
        """Something else is done from now on."""
        self._doing = text
        self._show("")

    def step(self, step: "Progress") -> None:
        """A measurement goes on."""
        self._show(", warming up" if step.phase == "warm-up" else f", round {step.rounds}")

    def _show(self, more: str) -> None:
        share = (time.monotonic() - self._begun) / self._budget_s
        self._bar.show(f"{self._doing}{more}", share)


def input_shape(text: str) -> tuple[int, ...]:
    """Read "224", "3,224,224" or a whole shape, batch first.

    Raises:
        UsageError: anything else.
    """
    sizes = shape(text)
    if len(sizes) == 1:
        return (1, 3, sizes[0], sizes[0])
    return (1, *sizes) if len(sizes) == 3 else sizes


def print_advice(advice: "Advice") -> None:
    """Print what was found and tried."""
    total = "" if advice.total_s is None else f": {advice.total_s * 1e3:.3f} ms"
    sizes = "x".join(map(str, advice.input))
    print(f"{advice.network} on {sizes}, {advice.setting}{total}")
    print(advice.summary())
    for sentence in advice.unread:
        print(f"Not read: {sentence}")
    confirmed = advice.confirmed()
    if confirmed:
        print("\nWhat costs time, and can be helped")
        for index, one in enumerate(confirmed[:SHOWN], 1):
            _print_finding(index, one)
    _print_trials("\nExact advice (the network computes the same)", advice, "exact")
    _print_trials("\nArchitectural advice (another network, to train)", advice, "architectural")
    for trial in advice.kept("architectural"):
        _print_changes(trial)
    notes = [one for one in advice.findings if one.kind == "note"]
    if notes:
        print("\nWorth knowing")
        for one in notes:
            guideline = f" ({one.guideline})" if one.guideline else ""
            print(f"  {one.key}{guideline}: {one.evidence}. {one.reason}")
    for sentence in dict.fromkeys(w for r in advice.records for w in r.warnings):
        print(f"Doubt: {sentence}")


def _print_finding(index: int, one: "Finding") -> None:
    guideline = f" ({one.guideline})" if one.guideline else ""
    cost = ""
    if one.seconds is not None and one.share is not None:
        cost = f": {one.seconds * 1e3:.3f} ms, {one.share:.0%} of the time"
    print(f"{index}. {one.key}{guideline}{cost}")
    print(f"   {one.reason}")
    print(f"   {one.evidence}.")
    print(f"   What to do: {one.remedy}.")
    for place in one.places[:SHOWN]:
        print(f"     {place}")
    if len(one.places) > SHOWN:
        print(f"     and {len(one.places) - SHOWN} more")


def _print_trials(title: str, advice: "Advice", kind: str) -> None:
    trials = [one for one in advice.trials if one.kind == kind]
    if not trials:
        return
    print(title)
    table(
        ["advice", "whole network", "95% interval", "block alone", "so predicted", "FLOPs",
         "verdict:", "why:"],
        [_row(one) for one in trials],
    )  # fmt: skip
    whole = advice.exact if kind == "exact" else advice.architectural
    if whole is not None and whole.ratio is not None:
        print(f"All of it together: {whole.advice}: {whole.why}")


def _row(one: "Trial") -> list[str]:
    ratio = one.ratio
    return [
        f"{one.about}: {one.advice}" if one.about else one.advice,
        "" if ratio is None else f"{ratio.value:.3f}",
        "" if ratio is None else f"{ratio.low:.3f}-{ratio.high:.3f}",
        "" if one.alone is None else f"{one.alone.value:.3f}",
        "" if one.predicted is None else f"{one.predicted:.3f}",
        "" if one.kind == "exact" or ratio is None else f"{one.flops:.2f}",
        one.verdict,
        one.why,
    ]


def _print_changes(one: "Trial") -> None:
    print(f"\nAs a suggestion for '{one.about}':")
    table(
        ["layer", "from:", "to:"],
        [[change.layer, change.before, change.after] for change in one.changes[: 4 * SHOWN]],
    )
    if len(one.changes) > 4 * SHOWN:
        print(f"and {len(one.changes) - 4 * SHOWN} more; --json has all")


def _keep(advice: "Advice", target: str | None) -> None:
    if target is None:
        return
    text = json_module.dumps(advice.to_json(), indent=2) + "\n"
    if target == STDOUT:
        sys.stdout.write(text)
        return
    with replaced(Path(target)) as temporary:
        temporary.write_text(text, encoding="utf-8")
