"""Weights of every layout give here the logits that the layout's own code gives."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from flyweight import create_model
from flyweight.zoo.weights import load_pretrained, load_weights
from tests.zoo import reference_layouts as reference


@dataclass(frozen=True)
class Case:
    layout: str
    model: str
    forward: reference.Forward
    options: dict[str, object]


V2 = "torchvision ShuffleNet V2", reference.torchvision_shufflenet_v2
MEGVII = "Megvii ShuffleNet V2", reference.megvii_shufflenet_v2
SMALL, FULL = reference.SHUFFLENET_WIDTHS["x0_5"], reference.SHUFFLENET_WIDTHS["x1_0"]
TF = {"padding": "same", "activation": "relu6"}

CASES = [
    Case(V2[0], "shufflenet_v2_x0_5_halved", partial(V2[1], widths=SMALL), {}),
    Case(V2[0], "shufflenet_v2_x1_0_halved", partial(V2[1], widths=FULL), {}),
    Case(
        V2[0],
        "shufflenet_v2_x1_0",
        partial(V2[1], widths=FULL),
        {"form": "halved", "classifier_bias": True},
    ),
    Case(MEGVII[0], "shufflenet_v2_x0_5", partial(MEGVII[1], widths=SMALL), {}),
    Case(MEGVII[0], "shufflenet_v2_x1_0", partial(MEGVII[1], widths=FULL), {}),
    Case(
        "torchvision MobileNet V2",
        "mobilenet_v2_x0_35",
        partial(reference.torchvision_mobilenet_v2, width=0.35),
        {},
    ),
    Case(
        "torchvision MobileNet V2",
        "mobilenet_v2_x1_0",
        partial(reference.torchvision_mobilenet_v2, width=1.0),
        {},
    ),
    Case(
        "Keras MobileNet V1",
        "mobilenet_v1_x0_25",
        partial(reference.keras_mobilenet_v1, width=0.25),
        {**TF, "norm_eps": 1e-3},
    ),
    Case(
        "TensorFlow MobileNet V1 in 8 bits",
        "mobilenet_v1_x0_25",
        partial(reference.folded_mobilenet_v1, width=0.25),
        TF,
    ),
    Case(
        "TensorFlow MobileNet V1 in 8 bits",
        "mobilenet_v1_x0_5",
        partial(reference.folded_mobilenet_v1, width=0.5),
        {**TF, "norm_eps": 1e-3},
    ),
    Case(
        "TensorFlow MobileNet V2 in 8 bits",
        "mobilenet_v2_x0_35",
        partial(reference.folded_mobilenet_v2, width=0.35),
        TF,
    ),
]
IDS = [f"{case.layout}, {case.model} {case.options}" for case in CASES]


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_converted_weights_give_the_layouts_own_logits(case: Case, tmp_path: Path) -> None:
    tensors, x, expected = reference.weights_and_logits(case.forward)
    file = tmp_path / "weights.safetensors"
    save_file(tensors, file)
    assert expected.std() > 0.01  # the random weights say something

    model = create_model(case.model, **case.options).eval()
    loaded = load_weights(model, file)
    pretrained = load_pretrained(case.model, file)

    assert loaded.layout == pretrained.loaded.layout == case.layout
    assert loaded.fresh == loaded.unused == ()
    assert not pretrained.model.training
    for network in (model, pretrained.model):
        with torch.inference_mode():
            logits = network(x)
        assert (logits - expected).abs().max() <= 1e-5 * expected.abs().max()
