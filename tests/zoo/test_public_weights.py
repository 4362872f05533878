"""The table of published weights: what can be said of it without the network."""

import dataclasses
import functools
import hashlib
import re
from collections import Counter
from pathlib import Path

import pytest
import torch

from flyweight.errors import UsageError
from flyweight.zoo import create_model, list_models, model_info
from flyweight.zoo.preprocessing import IMAGENET, TENSORFLOW
from flyweight.zoo.weights import LAYOUTS, load_pretrained, public
from flyweight.zoo.weights.public import (
    PUBLIC,
    PublicWeights,
    list_weights,
    weights_in,
    weights_named,
)
from flyweight.zoo.weights.variants import all_options, differing, outline

BY_NAME = {entry.name: entry for entry in PUBLIC}
# Files with heads that only training uses, and backbones without a classifier.
MORE = {"googlenet_bn.torchvision": 2.0, "inception_v3.torchvision": 1.15}
LESS = ("fastestdet",)


@pytest.mark.parametrize("entry", PUBLIC, ids=BY_NAME.keys())
def test_every_row_belongs_to_a_network_and_a_layout(entry: PublicWeights) -> None:
    assert entry.model in list_models()
    families = {layout.family for layout in LAYOUTS if layout.name == entry.layout}
    assert families == {model_info(entry.model).family}
    assert entry.name.startswith(f"{entry.model}.")
    assert entry.source.startswith("https://github.com/")
    assert entry.licence in ("MIT", "BSD-2-Clause", "BSD-3-Clause")
    for error in (entry.top1_error, entry.top5_error):
        assert error is None or 1 < error < 60
    if entry.url:
        assert re.fullmatch("[0-9a-f]{8,64}", entry.sha256), "a download is always checked"
        assert entry.url.startswith("https://")
        assert "/" not in entry.file
        assert not entry.file.startswith(".")
    else:
        assert entry.note
        assert not entry.file


@functools.cache
def parameters(model: str, form: tuple[tuple[str, object], ...]) -> int:
    return sum(parameter.numel() for parameter in outline(model, dict(form)).parameters())


@pytest.mark.parametrize(
    "entry", [entry for entry in PUBLIC if entry.size_mib], ids=lambda entry: entry.name
)
def test_files_are_as_large_as_their_networks(entry: PublicWeights) -> None:
    """A row that names another depth or width would show here."""
    layouts = [layout for layout in LAYOUTS if layout.name == entry.layout]
    own = all_options(entry.model, {})
    form = min((layout.form for layout in layouts), key=lambda form: len(differing(form, own)))
    count = parameters(entry.model, tuple(form.items()))
    ratio = (entry.size_mib or 0) * 2**20 / (4 * count)
    if any(word in entry.name for word in LESS):
        assert ratio < 1
    else:
        assert 1 <= ratio < 1.05 * MORE.get(entry.name, 1.0)


def test_names_and_addresses_are_told_apart() -> None:
    assert max(Counter(entry.name for entry in PUBLIC).values()) == 1
    files = [entry.file for entry in PUBLIC if entry.url]
    assert len(files) == len(set(files)), "they share the cache's folder"
    # Torchvision's name of a file ends with the digits of its checksum.
    for entry in PUBLIC:
        if ".torchvision" in entry.name:
            assert entry.file.endswith(f"-{entry.sha256}.pth")


def test_preprocessing_is_the_layouts_unless_the_row_has_its_own() -> None:
    """Torchvision's second recipe resizes to 232 (its ImageClassification presets say so)."""
    at_232 = dataclasses.replace(IMAGENET, resize=232)
    expected = {
        "mobilenet_v2_x1_0.torchvision": IMAGENET,
        "mobilenet_v2_x1_0.torchvision_v2": at_232,
        "shufflenet_v2_x1_0_halved.torchvision": IMAGENET,
        "shufflenet_v2_x1_5_halved.torchvision": at_232,
        "shufflenet_v2_x2_0_halved.torchvision": at_232,
        "resnet_18.torchvision": IMAGENET,
        "resnet_152_b.torchvision_v2": at_232,
        "resnext_50_32x4d.torchvision": IMAGENET,
        "resnext_101_64x4d.torchvision": at_232,
        # Torchvision's networks of these turn its usual input into what TensorFlow's expect.
        "googlenet_bn.torchvision": TENSORFLOW,
        "inception_v3.torchvision": dataclasses.replace(TENSORFLOW, crop=299, resize=342),
    }
    for name, preprocessing in expected.items():
        entry = BY_NAME[name]
        layout = next(layout for layout in LAYOUTS if layout.name == entry.layout)
        assert (entry.preprocessing or layout.preprocessing_of(entry.model)) == preprocessing, name


def test_finding_weights() -> None:
    entry = BY_NAME["mobilenet_v2_x1_0.torchvision_v2"]
    assert weights_named(entry.name) is entry
    assert weights_named("vgg_16").name == "vgg_16.torchvision"
    with pytest.raises(UsageError, match=r"say which, mobilenet_v2_x1_0\.torchvision or "):
        weights_named("mobilenet_v2_x1_0")
    with pytest.raises(UsageError, match=r"did you mean vgg_19\.torchvision\?"):
        weights_named("vgg_19.torchvison")
    assert [found.model for found in list_weights("vgg_1?")] == ["vgg_16", "vgg_19"]
    assert {found.layout for found in list_weights("*.megvii")} == {"Megvii ShuffleNet V2"}


def test_a_public_file_is_known_by_its_content_and_brings_its_preprocessing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, other = tmp_path / "any.name", tmp_path / "other"
    model = create_model("mobilenet_v1_x0_25")
    torch.save(model.state_dict(), file)
    content = file.read_bytes()
    other.write_bytes(content[:-1] + b"?")
    trained = dataclasses.replace(IMAGENET, resize=232)
    entry = dataclasses.replace(
        PUBLIC[0],
        sha256=hashlib.sha256(content).hexdigest()[:8],
        size_mib=round(len(content) / 2**20, 3),
        preprocessing=trained,
    )
    monkeypatch.setattr(public, "PUBLIC", (*PUBLIC, entry))
    assert weights_in(file) is entry
    assert weights_in(other) is None
    loaded = load_pretrained("mobilenet_v1_x0_25", file).loaded
    assert (loaded.public, loaded.preprocessing) == (entry.name, trained)
