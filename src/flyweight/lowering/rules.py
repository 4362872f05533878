"""What pays on which engine."""

from dataclasses import dataclass

from flyweight.errors import UsageError, unknown


@dataclass(frozen=True)
class Rules:
    """How channel moves that are left are written, and which optional rewrites are done.

    Attributes:
        max_pieces: channels that lie in more pieces are gathered by one index.
        merge_siblings: whether 1x1 convolutions that read the same channels become one.
        index_groups: channel shuffles of up to so many groups are written as one index instead.
        align_read: dense convolutions read multiples of so many channels.
        align_block: depthwise convolutions between dense ones have multiples of so many channels.
    """

    max_pieces: int = 16
    merge_siblings: bool = False
    index_groups: int = 0
    align_read: int = 1
    align_block: int = 1


RULES: dict[str | None, Rules] = {
    None: Rules(),
    "eager": Rules(),
    "compile": Rules(),
    "onnxruntime": Rules(align_read=4, align_block=8),
    "openvino": Rules(index_groups=4),
    "cuda-eager": Rules(),
    "cuda-graph": Rules(),
    "cuda-compile": Rules(),
}
"""Found with benchmarks/lowering_rules.py (results/*/lowering_rules.jsonl).

Zero channels up to whole blocks pay on ONNX Runtime. One index instead of a shuffle pays on
OpenVINO for few groups. Merged 1x1 convolutions, whose readers then need pieces, pay on neither.
"""


THEMSELVES = ("native",)
"""Engines that lower every network when they plan it: for them there is no other form."""


def rules_for(engine: str | None) -> Rules:
    """The rules of an engine.

    Raises:
        UsageError: there is no engine of this name, or it is one that lowers networks itself.
    """
    if engine in THEMSELVES:
        raise UsageError(
            f"engine {engine!r} lowers every network itself: give it the network as it is"
        )
    if engine not in RULES:
        raise unknown("engine", str(engine), [name for name in RULES if name])
    return RULES[engine]
