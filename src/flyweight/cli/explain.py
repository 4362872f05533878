"""`flyweight explain`: how the native engine computes a network."""

from typing import TYPE_CHECKING, Annotated

import typer

from flyweight.cli.arguments import image
from flyweight.cli.options import Input, Json, NoTune
from flyweight.cli.output import Bar, as_json, millions, table

if TYPE_CHECKING:
    from flyweight.native.explaining import ExplainedStep, Explanation
    from flyweight.native.plan import Block


def explain_command(
    model: Annotated[str, typer.Argument(help="A network's name, or package.module:factory.")],
    cpu: Annotated[
        str | None,
        typer.Option(
            help="Plan for avx512, avx2, neon or portable, if not for this machine; needs no"
            " compiler, and measures nothing."
        ),
    ] = None,
    input: Input = "224",
    no_tune: NoTune = False,
    json: Json = False,
) -> None:
    """Print the native engine's plan of a network: each step, what it takes and how it is cut up.

    Example: flyweight explain shufflenet_v2_x1_0

    Example: flyweight explain my_package.my_module:my_network --input 1,96,96 --cpu neon
    """
    size = image(input)

    import torch

    from flyweight.api import to_time
    from flyweight.native.explaining import explain
    from flyweight.native.isa import isa_named

    isa = None if cpu is None else isa_named(cpu)
    example = torch.randn((1, *size), generator=torch.Generator().manual_seed(0))
    network = to_time(model)
    with Bar() as bar:
        bar.show(f"capturing {model}", 0.0)
        explanation = explain(
            network,
            example,
            model,
            isa,
            not no_tune,
            lambda done, count: bar.show("choosing how convolutions are cut up", done / count),
        )
    if json:
        as_json(explanation.to_json())
    else:
        _print(explanation)


def _print(plan: "Explanation") -> None:
    chosen = "measured on this machine" if plan.tuned else "by the fixed rule"
    print(
        f"{plan.network} on {_dimensions(plan.image)}, as the native engine computes it on"
        f" {plan.cpu}\nblocks {chosen}: pixels x vectors, / inputs at once, * pixels outside\n"
        "| groups whose outputs share a vector\n"
        "rows: worked on at a time, > where the next step reads them from the cache\n"
    )
    table(
        ["step", "input", "output", "M madds", "floor", "kB", "block", "rows", "fused:", "module:"],
        [_row(step) for step in plan.steps],
    )
    tiles = ", ".join(plan.tiles) or "none"
    print(
        f"\n{millions(plan.madds)} M multiply-adds, {len(plan.steps)} steps,"
        f" {plan.gathers} of them gathers; tiles {tiles}"
        f"\nweights {_megabytes(plan.weights_bytes)}; activations {_megabytes(plan.memory_bytes)},"
        f" all feature maps side by side {_megabytes(plan.unshared_bytes)}"
    )


def _row(step: "ExplainedStep") -> list[str]:
    return [
        step.kind,
        " ".join(map(_dimensions, step.inputs)),
        _dimensions(step.output),
        millions(step.madds) if step.madds else "",
        f"{step.share:.1%}" if step.madds else "",
        f"{step.bytes / 1e3:,.0f}",
        "" if step.block is None else _block(step.block, step.groups_abreast),
        f"{step.rows}{' >' if step.inside else '  '}" if step.rows else "",
        ", ".join(step.fused),
        step.module,
    ]


def _block(block: "Block", abreast: int) -> str:
    inputs = f"/{block.inputs}" if block.inputs else ""
    outside, groups = "*" if block.tiles_outside else "", f" |{abreast}" if abreast else ""
    return f"{block.pixels}x{block.vectors}{inputs}{outside}{groups}"


def _dimensions(sizes: tuple[int, ...]) -> str:
    return "x".join(map(str, sizes))


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.2f} MB"
