"""Options that several commands have, with one name and one help text each."""

from pathlib import Path
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]
Records = Annotated[
    str | None, typer.Option("--json", help="Write records (JSON Lines); '-' is stdout.")
]
Html = Annotated[Path | None, typer.Option(help="Write a report that opens anywhere.")]
Png = Annotated[Path | None, typer.Option(help="Write the report's chart.")]
Threads = Annotated[int, typer.Option(help="CPU threads of each runner.")]
Precision = Annotated[str, typer.Option(help="float32, or bfloat16 where engine and CPU have it.")]
Plain = Annotated[bool, typer.Option("--plain", help="Networks as they are (the default).")]
Lowered = Annotated[bool, typer.Option("--lowered", help="Networks lowered for their engine.")]
Both = Annotated[bool, typer.Option("--both", help="Each network in both forms, and the ratio.")]
NoTune = Annotated[
    bool,
    typer.Option(
        "--no-tune", help="Cut up native's convolutions by a fixed rule, not by measuring."
    ),
]
Batch = Annotated[int, typer.Option(help="Images in a batch.")]
Input = Annotated[str, typer.Option("--input", help="Image side, or channels,height,width.")]
Budget = Annotated[str, typer.Option(help="Time for the measurement: 60s, 2m.")]
