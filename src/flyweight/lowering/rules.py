"""What pays on which engine."""

from dataclasses import dataclass

from flyweight.errors import unknown


@dataclass(frozen=True)
class Rules:
    """How channel moves that are left are written, and which optional rewrites are done.

    Attributes:
        max_pieces: channels that lie in more pieces are gathered by one index.
        merge_siblings: whether 1x1 convolutions that read the same channels become one.
    """

    max_pieces: int = 16
    merge_siblings: bool = False


RULES: dict[str | None, Rules] = {
    None: Rules(),
    "eager": Rules(),
    "compile": Rules(),
    "onnxruntime": Rules(),
    "openvino": Rules(),
}


def rules_for(engine: str | None) -> Rules:
    """The rules of an engine.

    Raises:
        UsageError: there is no engine of this name.
    """
    if engine not in RULES:
        raise unknown("engine", str(engine), [name for name in RULES if name])
    return RULES[engine]
