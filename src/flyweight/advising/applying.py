"""The network as exact advice has it, written to files that are checked against the original."""

from pathlib import Path

from torch import nn

from flyweight import exporting
from flyweight.advising.result import Advice
from flyweight.errors import UsageError
from flyweight.exporting import Exported, Target
from flyweight.measuring.environment import commit


def target_for(path: Path, force: bool) -> Target:
    """Find out whether a network can be written there, before the work.

    Args:
        path: a file that ends in .onnx, .xml or .pt2, or a folder for C.
        force: whether files may be overwritten.

    Raises:
        UsageError: another suffix, or a file that is there already.
        FlyweightError: it can't be written, or the format's engine isn't installed.
    """
    suffixes = [one.suffix for one in exporting.FORMATS.values() if one.suffix]
    if path.suffix and path.suffix not in suffixes:
        raise UsageError(
            f"{path}: --apply writes {', '.join(suffixes)}, or a folder of C, whose name has no dot"
        )
    return exporting.target_of(path, None if path.suffix else "c", force)


def applied(model: nn.Module, advice: Advice, target: Target) -> Exported:
    """Write the network as exact advice has it; the module is not changed.

    Lowered networks are lowered for the engine that reads the format; C is the native engine's,
    which lowers every network. Where lowering was not kept, the network is written as it is. The
    file is read back and compared with the original before it is there.

    Raises:
        UsageError: the example isn't a batch of images.
        CaptureError: the network can't be written in this format.
        FlyweightError: the file can't be written, or computes something else.
    """
    if len(advice.input) != 4:
        raise UsageError(
            f"--apply writes networks of images (batch, channels, height, width), not of"
            f" {advice.input}"
        )
    source = exporting.from_module(model, advice.network)
    kept = advice.exact.setting if advice.exact is not None else None
    lowered = kept is not None and kept.lowered and not target.format.source
    merged = kept is not None and kept.merged
    return exporting.write(source, target, advice.input, [], lowered, commit(), merged)
