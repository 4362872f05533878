"""`flyweight weights`: which trained weights are published, getting them, and making them ours."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flyweight.cli.options import Json
from flyweight.cli.output import Bar, as_json, note, optional, table
from flyweight.errors import UsageError
from flyweight.files import check_writable

if TYPE_CHECKING:
    from flyweight.zoo.preprocessing import Preprocessing

app = typer.Typer(rich_markup_mode=None)


@app.callback(invoke_without_command=True)
def _weights(context: typer.Context) -> None:
    """Trained weights of others: list them, download them, convert them.

    Example: flyweight weights list 'mobilenet*'
    """
    if context.invoked_subcommand is None:
        print(context.get_help())


@app.command("list")
def list_command(
    pattern: Annotated[
        str, typer.Argument(help="As in a shell: 'resnet*', '*torchvision*'.")
    ] = "*",
    json: Json = False,
) -> None:
    """List the published weights that the networks here can load.

    Example: flyweight weights list 'mobilenet*'
    """
    from flyweight.zoo.weights.fetching import cache
    from flyweight.zoo.weights.public import list_weights

    found = list_weights(pattern)
    if not found:
        raise UsageError(f"no weights match {pattern!r}: 'flyweight weights list' shows all")
    cached = {
        entry.name: cache() / entry.file
        for entry in found
        if entry.url and (cache() / entry.file).is_file()
    }
    if json:
        as_json(
            [
                {
                    **dataclasses.asdict(entry),
                    "cached": str(cached[entry.name]) if entry.name in cached else None,
                }
                for entry in found
            ]
        )
        return
    table(
        ["weights", "network:", "top-1 error (%)", "MiB", "licence:", "here:"],
        [
            [entry.name, entry.model, optional(entry.top1_error), optional(entry.size_mib),
             entry.licence,
             "cached" if entry.name in cached else "" if entry.url else "get it by hand"]
            for entry in found
        ],
    )  # fmt: skip
    print(
        f"{len(found)} weights; errors as published; licences are of the repositories that publish"
        " them; 'flyweight weights fetch NAME' downloads one"
    )


@app.command("fetch")
def fetch_command(
    name: Annotated[str, typer.Argument(help="A name that 'flyweight weights list' shows.")],
    to: Annotated[
        Path | None, typer.Option(help="A folder for the file instead of the cache.")
    ] = None,
    mirror: Annotated[
        str,
        typer.Option(
            help="A folder, here or at an address, that has the file under the same name; also"
            " as FLYWEIGHT_MIRROR."
        ),
    ] = "",
) -> None:
    """Download weights as they are published, check them, and print where they are.

    A download that broke off goes on where it was.

    Example: flyweight weights fetch mobilenet_v2_x1_0.torchvision_v2
    """
    from flyweight.zoo.weights.fetching import fetch
    from flyweight.zoo.weights.public import weights_named

    entry = weights_named(name)
    with Bar() as bar:
        fetched = fetch(entry, to, mirror, bar.show)
    how = "checksum as published" if entry.sha256 else "its checksum isn't published"
    note(f"{entry.name}: {'downloaded' if fetched.downloaded else 'already there'}, {how}")
    print(fetched.path)


@app.command("convert")
def convert_command(
    file: Annotated[Path, typer.Argument(help="Weights in any layout that is known here.")],
    out: Annotated[Path, typer.Option(help="Where to write ours (safetensors).")],
    model: Annotated[
        str, typer.Option(help="The network's name, where the file doesn't show it.")
    ] = "",
    json: Json = False,
) -> None:
    """Convert weights to a file that holds its network's form and its preprocessing too.

    The new file is loaded once to check that it gives the same logits, bit for bit.

    Example: flyweight weights convert mobilenet_v2-7ebf99e0.pth --out mobilenet_v2.safetensors
    """
    check_writable(out)

    from flyweight.zoo.weights.converting import convert
    from flyweight.zoo.weights.variants import call_of

    converted = convert(file, out, model)
    network, loaded = converted.pretrained.model, converted.pretrained.loaded
    public = loaded.public or None
    if json:
        as_json(
            {
                "file": str(file),
                "layout": loaded.layout,
                "public": public,
                "model": network.variant,
                "options": dict(converted.options),
                "preprocessing": dataclasses.asdict(loaded.preprocessing),
                "out": str(out),
            }
        )
        return
    print(f"layout: {loaded.layout}" + (f" ({public})" if public else ""))
    print(f"network: {call_of(network.variant, converted.options)}")
    print(f"preprocessing: {_described(loaded.preprocessing)}")
    print(f"wrote {out}, which gives the same logits, bit for bit")


def _described(preprocessing: "Preprocessing") -> str:
    return (
        f"shorter side {preprocessing.resize}, {preprocessing.interpolation}, crop"
        f" {preprocessing.crop}; {preprocessing.colour} from 0 to {preprocessing.scale:g}, mean"
        f" {preprocessing.mean}, std {preprocessing.std}"
    )
