"""The command, its help, and how errors reach people: one line on stderr and an exit code."""

import os
import signal
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated

import typer
from typer.exceptions import Abort, Exit, TyperException

import flyweight
from flyweight.cli import (
    advise,
    bench,
    catalogue,
    classify,
    compare,
    compress,
    cost,
    decompose,
    evaluate,
    explain,
    export,
    lower,
    quantize,
    report,
    simulate,
    study,
    train,
    weights,
)
from flyweight.cli.keeping import INTERRUPTED
from flyweight.errors import FlyweightError, first_line

app = typer.Typer(
    name="flyweight",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command("list")(catalogue.list_command)
app.command("info")(catalogue.info_command)
app.command("cost")(cost.cost_command)
app.command("bench")(bench.bench_command)
app.command("compare")(compare.compare_command)
app.command("classify")(classify.classify_command)
app.command("evaluate")(evaluate.evaluate_command)
app.command("decompose")(decompose.decompose_command)
app.command("train")(train.train_command)
app.command("compress")(compress.compress_command)
app.command("decompress")(compress.decompress_command)
app.command("lower")(lower.lower_command)
app.command("explain")(explain.explain_command)
app.command("export")(export.export_command)
app.command("quantize")(quantize.quantize_command)
app.command("simulate")(simulate.simulate_command)
app.command("study")(study.study_command)
app.command("advise")(advise.advise_command)
app.command("report")(report.report_command)
app.add_typer(weights.app, name="weights")


def _version(asked: bool) -> None:
    if asked:
        print(f"flyweight {flyweight.__version__}")
        raise Exit


@app.callback()
def _flyweight(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which it is.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error (anywhere on the line).")
    ] = False,
) -> None:
    """Small convolutional networks, judged by their measured time on this machine.

    Example: flyweight bench shufflenet_v2_x1_0 mobilenet_v2_x1_0 --html report.html
    """


def _interrupt(signal_number: int, frame: object) -> None:
    raise KeyboardInterrupt


def main() -> None:
    """Run the command line of this process and exit with its code."""
    # Being told to end is like Ctrl-C: what is half written is taken away again.
    signal.signal(signal.SIGTERM, _interrupt)
    sys.exit(run(sys.argv[1:]))


def run(args: Sequence[str]) -> int:
    """Run one command line and return its exit code: 0, 1 for a failure, 2 for wrong usage."""
    debug = "--debug" in args
    try:
        code = app(
            [arg for arg in args if arg != "--debug"] or ["--help"],
            prog_name="flyweight",
            standalone_mode=False,
        )
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except Exit as exit_:
        return exit_.exit_code
    except BrokenPipeError:
        # The reader went away (`flyweight list | head`): nothing is left to say to anyone.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (KeyboardInterrupt, Abort):
        _say("interrupted")
        return INTERRUPTED
    except Exception as error:
        if debug:
            traceback.print_exc()
        message, code = _describe(error)
        _say(message)
        return code


def _describe(error: Exception) -> tuple[str, int]:
    if isinstance(error, FlyweightError):
        return " ".join(str(error).split()), error.exit_code
    if isinstance(error, TyperException):
        text = getattr(error, "format_message", lambda: str(error))()
        return " ".join(text.split()), getattr(error, "exit_code", 2)
    kind = type(error).__name__
    return f"unexpected {kind}: {first_line(error)} (--debug shows where)", 1


def _say(message: str) -> None:
    print(f"flyweight: {message}", file=sys.stderr)
