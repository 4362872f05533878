"""`flyweight advise --target accelerator:16x16`: what would help on an array, simulated."""

import json as json_module
import sys
from collections.abc import Mapping
from pathlib import Path

from flyweight.cli.keeping import STDOUT
from flyweight.cli.output import note
from flyweight.cli.simulate import note_left_out, print_hardware_advice
from flyweight.cli.workloads import workload_of_any
from flyweight.errors import UsageError
from flyweight.files import replaced

KIND = "accelerator"


def check_target(target: str, of_machines: Mapping[str, object]) -> str:
    """The preset that a target names.

    Args:
        target: e.g. "accelerator:16x16".
        of_machines: options that only a machine has, by name, with what was given for them.

    Raises:
        UsageError: another target, or an option that is for a machine.
    """
    kind, _, preset = target.partition(":")
    if kind != KIND or not preset:
        raise UsageError(
            f"--target {target!r}: it is {KIND}:8x8 or {KIND}:16x16; without it, it's this machine"
        )
    given = [name for name, value in of_machines.items() if value]
    if given:
        raise UsageError(
            f"--target {target}: an accelerator is simulated, so there is no --{given[0]}"
        )
    return preset


def advise_on_target(
    name: str,
    preset: str,
    target: str,
    shape: tuple[int, ...] | None,
    html: Path | None,
    json: str | None,
) -> None:
    """Print, and write, what would help a network on an accelerator.

    Args:
        name: of the network, package.module:factory, or a file.
        preset: of the accelerator.
        target: as it was asked for.
        shape: of the input, batch first; None for the network's own.
        html: where a page is written.
        json: where all of it is written; "-" is stdout.

    Raises:
        UsageError: an unknown network or preset.
        CaptureError: a file that can't be read.
        FlyweightError: a file that can't be written.
    """
    from flyweight.accelerator import advise_hardware, simulate
    from flyweight.accelerator import preset as preset_named
    from flyweight.accelerator.advising import advice_to_json

    accelerator = preset_named(preset)
    found = simulate(workload_of_any(name, shape), accelerator)
    advice = advise_hardware(found)
    if json != STDOUT:
        sizes = "x".join(map(str, found.workload.input_size))
        print(
            f"{name} on {sizes}, {target}: {found.seconds * 1e3:.3f} ms, {found.utilisation:.0%} of"
            " the array busy (simulated, not measured)"
        )
        print_hardware_advice(advice)
    note_left_out(found)
    if json is not None:
        whole = {"target": target, "simulated": True, **found.to_json()}
        text = json_module.dumps({**whole, "advice": advice_to_json(advice)}, indent=2) + "\n"
        if json == STDOUT:
            sys.stdout.write(text)
        else:
            with replaced(Path(json)) as temporary:
                temporary.write_text(text, encoding="utf-8")
    if html is not None:
        from flyweight.report.hardware_advice import write_hardware_advice_html

        write_hardware_advice_html(advice, html)
        note(f"wrote {html}")
