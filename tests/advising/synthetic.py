"""Times that nobody measured: a machine with fixed speeds, so that tests depend on none."""

from flyweight.advising import Reading, Times
from flyweight.advising.reading import ACTIVATION, NORM, Layer

MADDS_PER_S = 20e9
ELEMENTS_PER_S = 1e9
CALL_S = 2e-6
_FUSED = ("relu", "clamp", "hardtanh", "relu6")


def times(reading: Reading) -> Times:
    """What every operation would take: its multiply-adds, its traffic, and its call.

    As engines do, a norm right behind a convolution and a ReLU behind that take no time of their
    own.
    """
    nodes = reading.nodes
    parts: dict[tuple[str, str], float] = {}
    for layer in reading.layers.values():
        before = nodes[layer.node].all_input_nodes
        if _fused(layer, reading, before[0].name if before else ""):
            continue
        seconds = layer.madds / MADDS_PER_S + layer.elements / ELEMENTS_PER_S + CALL_S
        if layer.groups > 1:
            seconds *= 2
        key = (layer.place.path, layer.kind)
        parts[key] = parts.get(key, 0.0) + seconds
    return Times(sum(parts.values()), parts)


def _fused(layer: Layer, reading: Reading, before: str) -> bool:
    if layer.role == NORM:
        return bool(reading.layers[before].kernel) if before in reading.layers else False
    if layer.role != ACTIVATION or layer.op not in _FUSED or before not in reading.nodes:
        return False
    node = reading.nodes[before]
    while str(node.target).find("getitem") >= 0 or (
        node.name in reading.layers and reading.layers[node.name].role == NORM
    ):
        node = node.all_input_nodes[0]
    return node.name in reading.layers and bool(reading.layers[node.name].kernel)
