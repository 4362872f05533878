"""The layouts in which MobileNetV2 is published."""

from collections.abc import Iterator

from flyweight.zoo.mobilenet_v2 import BLOCKS
from flyweight.zoo.preprocessing import IMAGENET, TENSORFLOW
from flyweight.zoo.weights.layout import Layout, Sources, Unit, folded_notation, torch_notation
from flyweight.zoo.weights.tensorflow import FORM, ORIGIN, layer_name

FAMILY = "MobileNet V2"


def _blocks() -> list[tuple[str, tuple[str, ...]]]:
    """Our name of every block, in order, and of its convolutions; the first doesn't expand."""
    blocks = []
    for stage, rows in enumerate(BLOCKS, start=1):
        index = 0
        for expansion, _, repeats, _ in rows:
            parts = ("expand", "depthwise", "project")[0 if expansion > 1 else 1 :]
            for _ in range(repeats):
                blocks.append((f"stages.stage{stage}.{index}", parts))
                index += 1
    return blocks


def _torchvision_units() -> Iterator[Unit]:
    blocks = _blocks()
    last = len(blocks) + 1
    yield Unit("stages.stem", "features.0.0", "features.0.1")
    for number, (ours, parts) in enumerate(blocks, start=1):
        for index, part in enumerate(parts):
            theirs = f"features.{number}.conv.{index}"
            # The projection has no activation, so it isn't wrapped as the other two are.
            names = (
                (theirs, f"features.{number}.conv.{index + 1}")
                if part == "project"
                else (f"{theirs}.0", f"{theirs}.1")
            )
            yield Unit(f"{ours}.{part}", *names)
    yield Unit("stages.last", f"features.{last}.0", f"features.{last}.1")


def _torchvision(eps: float) -> Sources:
    return torch_notation(_torchvision_units(), "classifier.1")


def _folded(eps: float) -> Sources:
    units = [Unit("stages.stem", "MobilenetV2/Conv", "")]
    for number, (ours, parts) in enumerate(_blocks()):
        layer = f"MobilenetV2/expanded_conv_{number}" if number else "MobilenetV2/expanded_conv"
        units += [Unit(f"{ours}.{part}", f"{layer}/{part}", "") for part in parts]
    units.append(Unit("stages.last", "MobilenetV2/Conv_1", ""))
    return folded_notation(units, "MobilenetV2/Logits/Conv2d_1c_1x1", eps)


TORCHVISION = Layout(
    name="torchvision MobileNet V2",
    family=FAMILY,
    form={"padding": "symmetric", "activation": "relu6", "norm_eps": 1e-5},
    sources=_torchvision,
    preprocessing=IMAGENET,
    origin="torchvision.models.mobilenet_v2, IMAGENET1K_V1 (V2 resizes to 232), BSD-3-Clause",
)

FOLDED = Layout(
    name="TensorFlow MobileNet V2 in 8 bits",
    family=FAMILY,
    form=FORM,
    sources=_folded,
    preprocessing=TENSORFLOW,
    origin=ORIGIN,
    rename=layer_name,
    sized_by_name=True,
)

LAYOUTS = (TORCHVISION, FOLDED)
