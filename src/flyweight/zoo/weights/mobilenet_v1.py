"""The layouts in which MobileNet V1 is published."""

from collections.abc import Iterator

from flyweight.zoo.mobilenet_v1 import BLOCKS
from flyweight.zoo.preprocessing import TENSORFLOW
from flyweight.zoo.weights.layout import Layout, Sources, Unit, folded_notation, keras_notation
from flyweight.zoo.weights.tensorflow import FORM, ORIGIN, layer_name

FAMILY = "MobileNet V1"


def _blocks() -> Iterator[tuple[int, str]]:
    """TensorFlow's number of a block, from 1, and our name of it."""
    names = [
        f"stages.stage{stage}.{index}"
        for stage, rows in enumerate(BLOCKS, start=1)
        for index in range(len(rows))
    ]
    yield from enumerate(names, start=1)


def _keras(eps: float) -> Sources:
    units = [Unit("stages.stem", "conv1/kernel", "conv1_bn")]
    for number, ours in _blocks():
        depthwise, pointwise = f"conv_dw_{number}", f"conv_pw_{number}"
        units.append(Unit(f"{ours}.0", f"{depthwise}/depthwise_kernel", f"{depthwise}_bn"))
        units.append(Unit(f"{ours}.1", f"{pointwise}/kernel", f"{pointwise}_bn"))
    return keras_notation(units, "conv_preds")


def _folded(eps: float) -> Sources:
    root = "MobilenetV1/MobilenetV1/Conv2d_"
    units = [Unit("stages.stem", f"{root}0", "")]
    for number, ours in _blocks():
        units.append(Unit(f"{ours}.0", f"{root}{number}_depthwise", ""))
        units.append(Unit(f"{ours}.1", f"{root}{number}_pointwise", ""))
    return folded_notation(units, "MobilenetV1/Logits/Conv2d_1c_1x1", eps)


KERAS = Layout(
    name="Keras MobileNet V1",
    family=FAMILY,
    form={**FORM, "norm_eps": 1e-3},
    sources=_keras,
    preprocessing=TENSORFLOW,
    origin="keras.applications.MobileNet, Apache-2.0",
    sized_by_name=True,
)

FOLDED = Layout(
    name="TensorFlow MobileNet V1 in 8 bits",
    family=FAMILY,
    form=FORM,
    sources=_folded,
    preprocessing=TENSORFLOW,
    origin=ORIGIN,
    rename=layer_name,
    sized_by_name=True,
)

LAYOUTS = (KERAS, FOLDED)
