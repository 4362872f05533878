"""Every form leaves PyTorch with the number of images open, and computes the same elsewhere."""

from collections.abc import Mapping

import numpy as np
import onnxruntime
import pytest
import torch

from flyweight import create_model, list_models
from flyweight.graph import capture, to_onnx
from flyweight.nn import Network
from tests.zoo.forms import FORMS

TOLERANCE = 1e-4
"""Of the largest score."""


def trained_like(name: str, options: Mapping[str, object], size: int) -> Network:
    """A network whose batch norms have seen images: fresh ones let values grow or vanish."""
    torch.manual_seed(0)
    model = create_model(name, **{"num_classes": 10, **options})
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None
    with torch.no_grad():
        model(torch.randn(4, 3, size, size))
    return model.eval()


def agree(name: str, options: Mapping[str, object]) -> None:
    with torch.device("meta"):
        size = max(64, create_model(name, **options).min_size)
    model = trained_like(name, options, size)
    images = torch.randn(3, 3, size, size)
    with torch.no_grad():
        eager = model(images).numpy()
        program = capture(model, images, dynamic_batch=True).module()
        session = onnxruntime.InferenceSession(to_onnx(model, images, dynamic_batch=True))
        feed = session.get_inputs()[0].name
        for batch in (3, 1):
            expected = eager[:batch]
            scale = np.abs(expected).max()
            captured = program(images[:batch]).numpy()
            (onnx,) = session.run(None, {feed: images[:batch].numpy()})
            assert np.abs(captured - expected).max() <= TOLERANCE * scale
            assert np.abs(onnx - expected).max() <= TOLERANCE * scale


# Each has operations that no other of these has; the rest take their time where there is more.
QUICK = (
    "mobilenet_v1_same",
    "condensenet",
)
SLOW = [form for form in FORMS if form not in QUICK]


@pytest.mark.parametrize("form", QUICK)
def test_exported_forms_agree_with_eager(form: str) -> None:
    agree(*FORMS[form])


@pytest.mark.slow
@pytest.mark.parametrize("form", SLOW)
def test_other_exported_forms_agree_with_eager(form: str) -> None:
    agree(*FORMS[form])


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", list_models())
def test_exported_rows_agree_with_eager(name: str) -> None:
    agree(name, {})
