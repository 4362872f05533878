"""What the layouts of TensorFlow's quantised networks share."""

from collections.abc import Mapping

FORM: Mapping[str, object] = {"padding": "same", "activation": "relu6"}
"""TensorFlow pads at right and bottom where the stride is 2, and its MobileNets use ReLU6."""

ORIGIN = "TensorFlow's hosted *_quant.tflite networks, Apache-2.0; one tensor per fused operation"


def layer_name(key: str) -> str:
    """A fused operation's tensor by the name of its layer.

    "a/Conv2d_0/Relu6;a/Conv2d_0/add_fold;....bias" becomes "a/Conv2d_0.bias": the first of the
    fused names counts, without its operation.
    """
    fused, _, leaf = key.rpartition(".")
    layer, _, _ = fused.partition(";")[0].rpartition("/")
    return f"{layer}.{leaf}"
