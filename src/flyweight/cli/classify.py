"""`flyweight classify`: what is in these photographs?"""

from pathlib import Path
from typing import Annotated

import typer


def classify_command(
    images: Annotated[list[Path], typer.Argument(help="Image files, or folders of them.")],
    model: Annotated[str, typer.Option(help="A network's name.")],
    weights: Annotated[Path, typer.Option(help="A file of trained weights for it.")],
    top: Annotated[int, typer.Option(help="Classes to show for each image.")] = 5,
    json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")] = False,
) -> int:
    """Stub"""
    return 0
