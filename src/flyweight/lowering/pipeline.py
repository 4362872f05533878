"""Lowering: capture, read through channel maps, rewrite, and write what is left."""

from dataclasses import replace

import torch
from torch import Tensor, fx, nn
from torch.utils._pytree import tree_leaves

from flyweight.errors import FlyweightError
from flyweight.graph import capture, frozen_copy
from flyweight.graph.program import Program
from flyweight.graph.reading import read_program
from flyweight.lowering import rewrites
from flyweight.lowering.alignment import align
from flyweight.lowering.emit import emit
from flyweight.lowering.movement import movement
from flyweight.lowering.report import LoweringReport, Rewrite
from flyweight.lowering.rules import Rules, rules_for
from flyweight.nn import label

TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-2}
"""Rewriting only changes how sums are rounded, which deep networks can magnify."""
_VIEWS = ("view", "_unsafe_view", "reshape", "clone", "detach", "alias", "unsqueeze", "squeeze")


def lower(
    model: nn.Module, example: Tensor, engine: str | None = None, merge_siblings: bool = False
) -> fx.GraphModule:
    """The same function of the images with fewer operations: an exact rewrite for any engine.

    Split, concatenation, channel shuffle, index_select and their like become channel maps, and
    only what still has to be moved for its reader is; batch norms are folded into convolutions;
    dropout and constants are gone; what was computed twice is computed once. The model is not
    changed. docs/design.md, "How a network is lowered", explains it.

    Args:
        model: any module of one input; it is lowered as it is in evaluation mode.
        example: images (batch, channels, height, width); the number of images stays open.
        engine: the engine whose measurements decide what pays, or None for what pays on all.
        merge_siblings: also make one convolution of 1x1 convolutions that read the same, which
            pays in few networks (`flyweight.advise` tries it).

    Returns:
        A graph module that can be run, exported and captured again. Its `report` is a
        `LoweringReport`.

    Raises:
        CaptureError: the module can't be captured.
        UsageError: an unknown engine, or a module that doesn't run on the example.
    """
    rules = rules_for(engine)
    if merge_siblings:
        rules = replace(rules, merge_siblings=True)
    device, example = example.device, example.cpu()
    captured = capture(frozen_copy(model).cpu(), example, dynamic_batch=True)
    program = read_program(captured)
    done = rewritten(program, rules)
    with torch.no_grad():
        lowered = emit(program, rules)
    before, expected = movement(captured.module(), example)
    after, output = movement(lowered, example)
    error = _difference(expected, output)
    limit = TOLERANCE.get(example.dtype, 0.05)
    if not error <= limit:
        raise FlyweightError(
            f"lowering {label(model)} changed its output by {error:.1e} of the largest:"
            " please report this network; without lowering it runs as it is"
        )
    name = label(model)
    report = LoweringReport(name, engine, tuple(example.shape), before, after, tuple(done), error)
    lowered.__dict__.update(variant=name, report=report)
    return lowered.to(device)


def report_of(lowered: fx.GraphModule) -> LoweringReport:
    """What was done to a network that `lower` returned."""
    report = lowered.__dict__["report"]
    assert isinstance(report, LoweringReport)
    return report


def rewritten(program: Program, rules: Rules) -> list[Rewrite]:
    """Do all exact rewrites on a program; what was done where."""
    moves = tuple(where for name, where in program.moves if not name.startswith(_VIEWS))
    done = [
        ("channel moves read through maps", moves),
        ("unread results dropped", rewrites.drop_unread(program)),
        ("equal computations merged", rewrites.merge_equal(program)),
        ("batch norms folded into the convolution before", rewrites.fold_norms_back(program)),
        ("batch norms folded into the convolution after", rewrites.fold_norms_ahead(program)),
    ]
    if rules.merge_siblings:
        spared = rewrites.merge_siblings(program)
        done.append(("1x1 convolutions of one input merged", spared))
    widened = align(program, rules.align_read, rules.align_block)
    done.append(("zero channels added for the engine's blocks", widened))
    return [Rewrite(what, tuple(where)) for what, where in done]


def _difference(expected: object, output: object) -> float:
    """The largest difference over all outputs, each relative to its own largest value."""
    worst = 0.0
    for a, b in zip(tree_leaves(expected), tree_leaves(output), strict=True):
        if isinstance(a, Tensor) and a.is_floating_point():
            alike = (a == b) | (a.isnan() & b.isnan())  # infinities, and what isn't a number
            scale = float(a.abs().nan_to_num(0.0, 0.0).max())
            difference = float((a - b).abs().masked_fill(alike, 0.0).max())
            worst = max(worst, difference / scale if scale else difference)
    return worst
