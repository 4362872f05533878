"""Real weights on photographs: the same class as PyTorch names, and the same scores."""

from pathlib import Path

import numpy as np
import pytest
import torch

from flyweight.evaluating import labelled_images
from flyweight.zoo.preprocessing import open_image, prepare
from flyweight.zoo.weights import load_pretrained
from tests.data_dir import DATA, needs_data
from tests.native.against import compiled, error, exact, needs_compiler

pytestmark = [needs_data, needs_compiler, pytest.mark.slow]

IMAGES = 60
BATCH = 20

# Of three layouts, with padding of TensorFlow's kind and pools that round up among them.
CASES = (
    ("mobilenet_v1_x0_25", "mobilenet_v1_025_224_keras.safetensors"),
    ("mobilenet_v2_x1_0", "mobilenet_v2_1.0_224_quant.safetensors"),
    ("squeezenet_1_1", "squeezenet1_1_caffe_fp16.safetensors"),
)


def photographs() -> list[Path]:
    found = labelled_images(DATA / "imagenet_sample_1000_s256", 1000).images
    return [image.path for image in found[:: len(found) // IMAGES]][:IMAGES]


@pytest.mark.parametrize(("name", "file"), CASES)
def test_photographs_are_named_alike(name: str, file: str) -> None:
    pretrained = load_pretrained(name, DATA / "weights" / file)
    model, preprocessing = pretrained.model.eval(), pretrained.loaded.preprocessing
    paths = photographs()
    first = np.stack([prepare(open_image(paths[0]), preprocessing, "crop")])
    _, network = compiled(model, torch.from_numpy(first))
    for start in range(0, len(paths), BATCH):
        inputs = [
            prepare(open_image(path), preprocessing, "crop")
            for path in paths[start : start + BATCH]
        ]
        x = torch.from_numpy(np.stack(inputs))
        with torch.no_grad():
            eager = model(x)
        (scores,) = network(x.numpy())
        assert (scores.argmax(1) == eager.argmax(1).numpy()).all()
        (true,) = exact(model, x[:4])
        assert error(scores[:4], true) < 1e-5
