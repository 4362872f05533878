"""Weights that don't fit are refused in one line that says why, and the network stays as it was."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from flyweight import create_model, list_models, model_info
from flyweight.errors import FlyweightError, UsageError, WeightsError
from flyweight.nn import Network
from flyweight.zoo.preprocessing import IMAGENET, TENSORFLOW, Preprocessing
from flyweight.zoo.weights import (
    LAYOUTS,
    Layout,
    class_names,
    load_pretrained,
    load_weights,
    save_weights,
)
from tests.zoo import reference_layouts as reference

Tensors = dict[str, Tensor]


def torchvision(width: str = "x0_5") -> Tensors:
    widths = reference.SHUFFLENET_WIDTHS[width]
    forward = partial(reference.torchvision_shufflenet_v2, widths=widths)
    return dict(reference.weights_and_logits(forward, 32)[0])


def keras(width: float = 0.25) -> Tensors:
    forward = partial(reference.keras_mobilenet_v1, width=width)
    return dict(reference.weights_and_logits(forward, 32)[0])


def folded() -> Tensors:
    forward = partial(reference.folded_mobilenet_v1, width=0.25)
    return dict(reference.weights_and_logits(forward, 32)[0])


def backbone() -> Tensors:
    """Megvii's layout as FastestDet publishes it: by stage, without what comes after stage 4."""
    model = create_model("shufflenet_v2_x0_5")
    names = {"stages.stem.0.conv": "first_conv.0", "stages.stem.0.norm": "first_conv.1"}
    for stage, count in (("stage2", 4), ("stage3", 8), ("stage4", 4)):
        for unit in range(count):
            for branch, theirs, positions in (
                ("projection", "branch_proj", (0, 2)),
                ("main", "branch_main", (0, 3, 5)),
            ):
                for index, position in enumerate(positions):
                    ours = f"stages.{stage}.{unit}.{branch}.{index}"
                    names[f"{ours}.conv"] = f"{stage}.{unit}.{theirs}.{position}"
                    names[f"{ours}.norm"] = f"{stage}.{unit}.{theirs}.{position + 1}"
    return {
        f"{names[module]}.{leaf}": tensor
        for key, tensor in model.state_dict().items()
        for module, _, leaf in [key.rpartition(".")]
        if module in names
    }


def halved(num_classes: int = 1000) -> Network:
    return create_model("shufflenet_v2_x0_5_halved", num_classes)


def edited(tensors: Tensors, key: str, change: Callable[[Tensor], Tensor]) -> Tensors:
    return {**tensors, key: change(tensors[key].clone())}


def without(tensors: Tensors, *keys: str) -> Tensors:
    return {key: tensor for key, tensor in tensors.items() if key not in keys}


def with_nan(tensor: Tensor) -> Tensor:
    tensor.view(-1)[3] = float("nan")
    return tensor


def own(name: str) -> Tensors:
    return create_model(name).state_dict()


REFUSED: dict[str, tuple[Callable[[], Tensors], Callable[[], nn.Module], str]] = {
    "not a number": (
        lambda: edited(torchvision(), "stage3.2.branch2.3.weight", with_nan),
        halved,
        "'stage3.2.branch2.3.weight' holds values that are infinite or not numbers (1 of 432)",
    ),
    "not a number in a scale": (
        lambda: edited(
            folded(),
            reference.fused("MobilenetV1/MobilenetV1/Conv2d_2_pointwise") + ".scale",
            lambda tensor: tensor * float("inf"),
        ),
        lambda: create_model("mobilenet_v1_x0_25", padding="same", activation="relu6"),
        "'MobilenetV1/MobilenetV1/Conv2d_2_pointwise.scale' holds values that are infinite",
    ),
    "too large for half precision": (
        lambda: edited(torchvision(), "fc.bias", lambda tensor: tensor * 1e6),
        lambda: halved().half(),
        "'fc.bias' holds values too large for torch.float16",
    ),
    "negative variance": (
        lambda: edited(torchvision(), "conv5.1.running_var", torch.neg),
        halved,
        "'conv5.1.running_var' has negative variances",
    ),
    "integers": (
        lambda: edited(torchvision(), "fc.weight", lambda tensor: tensor.to(torch.int8)),
        halved,
        "'fc.weight' is torch.int8, and 'classifier.weight' must be torch.float32",
    ),
    "complex numbers": (
        lambda: edited(torchvision(), "fc.weight", lambda tensor: tensor.to(torch.complex64)),
        halved,
        "'fc.weight' is torch.complex64",
    ),
    "another width": (
        lambda: torchvision("x1_0"),
        halved,
        "'stage2.0.branch1.2.weight' (here 'stages.stage2.0.projection.1.conv.weight')"
        " gives (58, 24, 1, 1), and shufflenet_v2_x0_5_halved has (24, 24, 1, 1)",
    ),
    "another width is named": (
        lambda: torchvision("x1_0"),
        halved,
        "these look like shufflenet_v2_x1_0_halved",
    ),
    "another width of ours": (
        lambda: own("shufflenet_v2_x0_5"),
        lambda: create_model("shufflenet_v2_x1_0"),
        "these look like shufflenet_v2_x0_5",
    ),
    "another form": (
        torchvision,
        lambda: create_model("shufflenet_v2_x0_5"),
        "these weights (torchvision ShuffleNet V2) belong to"
        " create_model('shufflenet_v2_x0_5_halved'), not to shufflenet_v2_x0_5,"
        " which has form='paper', classifier_bias=False",
    ),
    "another form and width": (
        keras,
        lambda: create_model("mobilenet_v1_x1_0"),
        "these weights (Keras MobileNet V1) belong to create_model('mobilenet_v1_x0_25',"
        " padding='same', activation='relu6', norm_eps=0.001), not to mobilenet_v1_x1_0",
    ),
    "another epsilon": (
        keras,
        lambda: create_model("mobilenet_v1_x0_25", padding="same", activation="relu6"),
        "which has norm_eps=1e-05",
    ),
    "another family": (
        torchvision,
        lambda: create_model("mobilenet_v2_x1_0"),
        "belong to create_model('shufflenet_v2_x0_5_halved'), not to mobilenet_v2_x1_0",
    ),
    "another family of ours": (
        lambda: own("mobilenet_v1_x0_5"),
        lambda: create_model("mobilenet_v2_x1_0"),
        "these weights (flyweight) belong to create_model('mobilenet_v1_x0_5'), not to",
    ),
    "a module that isn't of the zoo": (
        torchvision,
        lambda: nn.Linear(3, 4),
        "belong to create_model('shufflenet_v2_x0_5_halved'), not to Linear",
    ),
    "no variant": (
        lambda: edited(
            torchvision(), "stage4.1.branch2.0.weight", lambda tensor: torch.zeros(17, 96, 1, 1)
        ),
        halved,
        "gives (17, 96, 1, 1), and shufflenet_v2_x0_5_halved has (96, 96, 1, 1)",
    ),
    "a kernel of two dimensions": (
        lambda: edited(keras(), "conv_pw_3/kernel", lambda tensor: tensor[0, 0]),
        lambda: create_model(
            "mobilenet_v1_x0_25", padding="same", activation="relu6", norm_eps=1e-3
        ),
        "'conv_pw_3/kernel' of shape (32, 32) can't become 'stages.stage2.1.1.conv.weight'",
    ),
    "missing keys": (
        lambda: without(torchvision(), "conv5.1.bias", "fc.weight"),
        halved,
        "(torchvision ShuffleNet V2) lacks 'conv5.1.bias', 'fc.weight': partial=True",
    ),
    "further keys": (
        lambda: {**torchvision(), **{f"ema.{n}": torch.ones(2) for n in range(5)}},
        halved,
        "holds, without a place for it, 'ema.0', 'ema.1', 'ema.2' and 2 more: partial=True",
    ),
    "no classifier": (
        backbone,
        lambda: create_model("shufflenet_v2_x0_5"),
        "(Megvii ShuffleNet V2 backbone) has nothing for shufflenet_v2_x0_5's"
        " 'stages.conv5.conv.weight', 'stages.conv5.norm.weight', 'stages.conv5.norm.bias' and"
        " 3 more: partial=True loads the rest",
    ),
    "other classes": (
        torchvision,
        lambda: halved(10),
        "weights for 1000 classes, and shufflenet_v2_x0_5_halved has 10: create it with as many,"
        " or load with partial=True",
    ),
    "unknown names": (
        lambda: {f"layer{n}.weight": torch.ones(2) for n in range(9)},
        halved,
        "9 tensors that fit no layout known here, such as 'layer0.weight', 'layer1.weight',"
        " 'layer2.weight' and 6 more; known: flyweight, torchvision ShuffleNet V2,",
    ),
}


@pytest.mark.parametrize(("tensors", "model", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_weights_that_do_not_fit_are_refused_whole(
    tensors: Callable[[], Tensors], model: Callable[[], nn.Module], message: str, tmp_path: Path
) -> None:
    file = tmp_path / "weights.safetensors"
    save_file({key: tensor.contiguous() for key, tensor in tensors().items()}, file)
    network = model()
    before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    with pytest.raises(WeightsError) as caught:
        load_weights(network, file)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    for key, tensor in network.state_dict().items():
        assert torch.equal(tensor, before[key]), key


def test_partial_loads_what_there_is_and_says_what_stayed_fresh(tmp_path: Path) -> None:
    file = tmp_path / "backbone.safetensors"
    tensors = backbone()
    save_file({**tensors, "head.weight": torch.ones(3)}, file)
    model = create_model("shufflenet_v2_x0_5")
    conv5 = model.state_dict()["stages.conv5.conv.weight"].clone()
    loaded = load_weights(model, file, partial=True)
    state = model.state_dict()
    assert loaded.layout == "Megvii ShuffleNet V2 backbone"
    assert set(loaded.fresh) == {
        "stages.conv5.conv.weight",
        "stages.conv5.norm.weight",
        "stages.conv5.norm.bias",
        "stages.conv5.norm.running_mean",
        "stages.conv5.norm.running_var",
        "classifier.weight",
    }
    assert loaded.unused == ("head.weight",)
    assert torch.equal(state["stages.conv5.conv.weight"], conv5)
    assert torch.equal(state["stages.stem.0.conv.weight"], tensors["first_conv.0.weight"])


def test_partial_keeps_a_classifier_of_other_classes(tmp_path: Path) -> None:
    file = tmp_path / "weights.safetensors"
    save_file(torchvision(), file)
    model = halved(10)
    classifier = model.classifier.weight.clone()
    loaded = load_weights(model, file, partial=True)
    assert loaded.fresh == ("classifier.weight", "classifier.bias")
    assert loaded.unused == ("fc.bias", "fc.weight")
    assert torch.equal(model.classifier.weight, classifier)


def test_a_network_of_features_needs_no_classifier(tmp_path: Path) -> None:
    file = tmp_path / "weights.safetensors"
    save_file(torchvision(), file)
    loaded = load_weights(create_model("shufflenet_v2_x0_5", 0, form="halved"), file)
    assert loaded.fresh == ()
    assert loaded.unused == ("fc.bias", "fc.weight")


def test_batches_are_counted_anew_where_a_layout_does_not_count_them(tmp_path: Path) -> None:
    file = tmp_path / "weights.safetensors"
    save_file({key: t for key, t in torchvision().items() if "num_batches" not in key}, file)
    model = halved().train()
    model(torch.zeros(2, 3, 32, 32))
    load_weights(model, file)
    counters = [key for key in model.state_dict() if key.endswith("num_batches_tracked")]
    assert counters
    assert all(model.state_dict()[key] == 0 for key in counters)


def test_weights_in_half_precision_become_the_networks(tmp_path: Path) -> None:
    file = tmp_path / "weights.safetensors"
    tensors = {k: t.half() if t.is_floating_point() else t for k, t in torchvision().items()}
    save_file(tensors, file)
    model = halved()
    load_weights(model, file)
    assert model.classifier.bias.dtype == torch.float32
    assert torch.equal(model.classifier.bias, tensors["fc.bias"].float())


@pytest.mark.parametrize(
    ("num_classes", "outputs", "fresh"),
    [
        (None, 1000, ()),
        (1000, 1000, ()),
        (10, 10, ("classifier.weight", "classifier.bias")),
        (0, 1024, ()),
    ],
)
def test_pretrained_networks_have_the_form_and_the_classes_asked_for(
    num_classes: int | None, outputs: int, fresh: tuple[str, ...], tmp_path: Path
) -> None:
    file = tmp_path / "weights.safetensors"
    save_file(torchvision(), file)
    pretrained = load_pretrained("shufflenet_v2_x0_5", file, num_classes)
    model = pretrained.model
    assert pretrained.loaded.fresh == fresh
    assert (model.variant, model.options["form"]) == ("shufflenet_v2_x0_5", "halved")
    with torch.inference_mode():
        assert model(torch.zeros(1, 3, 32, 32)).shape == (1, outputs)


def test_pretrained_networks_of_another_name_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "weights.safetensors"
    save_file(keras(), file)
    with pytest.raises(WeightsError, match="these look like mobilenet_v1_x0_25"):
        load_pretrained("mobilenet_v1_x0_5", file)
    with pytest.raises(WeightsError, match=r"belong to create_model\('mobilenet_v1_x0_25'"):
        load_pretrained("shufflenet_v1_x1_0_g3", file)
    with pytest.raises(UsageError, match="unknown model"):
        load_pretrained("mobilenet_v1_x0_3", file)


@pytest.mark.parametrize(
    "name",
    ["shufflenet_v1_x0_5_g3", "shufflenet_v2_x0_5", "mobilenet_v1_x0_25", "mobilenet_v2_x0_35"],
)
def test_our_own_weights_come_back_with_form_and_preprocessing(name: str, tmp_path: Path) -> None:
    file = tmp_path / "weights.safetensors"
    mobile = {"padding": "same", "norm_eps": 1e-3} if name.startswith("mobile") else {}
    model = create_model(name, 7, in_channels=1, **mobile)
    preprocessing = Preprocessing(crop=96, resize=110, colour="BGR", scale=255.0)
    save_weights(model, file, preprocessing)
    pretrained = load_pretrained(name, file)
    assert pretrained.loaded.layout == "flyweight"
    assert pretrained.loaded.preprocessing == preprocessing
    assert pretrained.model.options == model.options
    state = pretrained.model.state_dict()
    assert all(torch.equal(state[key], value) for key, value in model.state_dict().items())
    if mobile:
        with pytest.raises(WeightsError, match=r"padding='same', norm_eps=0.001\), not to"):
            load_weights(create_model(name, 7, in_channels=1), file)


def test_saved_weights_know_their_form_even_where_it_does_not_show(tmp_path: Path) -> None:
    file = tmp_path / "weights.safetensors"
    save_weights(create_model("shufflenet_v2_x0_5", classifier_bias=True), file)
    with pytest.raises(WeightsError, match="not to shufflenet_v2_x0_5_halved, which has form="):
        load_pretrained("shufflenet_v2_x0_5_halved", file)


def test_a_state_without_metadata_is_taken_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "weights.pth"
    model = create_model("shufflenet_v1_x0_5_g3", repeats=(1, 2, 1))
    torch.save(model.state_dict(), file)
    loaded = load_weights(create_model("shufflenet_v1_x0_5_g3", repeats=(1, 2, 1)), file)
    assert (loaded.layout, loaded.preprocessing) == ("flyweight", IMAGENET)


def test_any_module_takes_its_own_state(tmp_path: Path) -> None:
    file = tmp_path / "weights.pth"
    torch.save(nn.Linear(3, 4).state_dict(), file)
    assert load_weights(nn.Linear(3, 4), file).layout == "flyweight"
    with pytest.raises(WeightsError, match=r"'weight' gives \(4, 3\), and Linear has \(4, 2\)"):
        load_weights(nn.Linear(2, 4), file)


@pytest.mark.parametrize(
    "metadata",
    [
        "{",
        "[]",
        "{}",
        json.dumps({"variant": "resnet", "options": {}, "preprocessing": {}}),
        json.dumps({"variant": "mobilenet_v1_x0_5", "options": {"x": 1}, "preprocessing": {}}),
        json.dumps(
            {
                "variant": "mobilenet_v1_x0_5",
                "options": {"activation": "tanh"},
                "preprocessing": {"mean": [0, 0, 0], "std": [1, 1, 1]},
            }
        ),
    ],
)
def test_metadata_that_is_not_understood_is_refused(metadata: str, tmp_path: Path) -> None:
    file = tmp_path / "weights.safetensors"
    save_file(own("mobilenet_v1_x0_5"), file, {"flyweight": metadata})
    with pytest.raises(WeightsError, match="its metadata is not of this version") as caught:
        load_pretrained("mobilenet_v1_x0_5", file)
    assert "\n" not in str(caught.value)


def test_saving_needs_a_network_of_the_zoo_and_a_place(tmp_path: Path) -> None:
    model = create_model("mobilenet_v1_x0_25")
    with pytest.raises(FlyweightError, match="can't write"):
        save_weights(model, tmp_path / "none" / "weights.safetensors")
    model.variant = ""
    with pytest.raises(UsageError, match="create_model"):
        save_weights(model, tmp_path / "weights.safetensors")


def test_the_input_size_of_tensorflows_networks_is_in_their_files_names(tmp_path: Path) -> None:
    for name, size in (
        ("mobilenet_v1_0.25_160_quant", 160),
        ("mobilenet_v1_0.25_224_quant", 224),
        ("weights_160", 224),
    ):
        file = tmp_path / f"{name}.safetensors"
        save_file(folded(), file)
        loaded = load_pretrained("mobilenet_v1_x0_25", file).loaded
        assert loaded.preprocessing == TENSORFLOW.at(size)


def test_torchvisions_wider_networks_resize_less() -> None:
    layout = next(layout for layout in LAYOUTS if layout.name == "torchvision ShuffleNet V2")
    assert layout.preprocessing_of("shufflenet_v2_x1_0_halved").resize == 256
    assert layout.preprocessing_of("shufflenet_v2_x1_5").resize == 232
    assert layout.preprocessing_of("shufflenet_v2_x2_0_halved").resize == 232


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
def test_every_layout_covers_its_network_but_for_a_backbones_end(layout: Layout) -> None:
    names = [name for name in list_models() if model_info(name).family == layout.family]
    with torch.device("meta"):
        states = (create_model(name, **layout.form).state_dict().keys() for name in names)
        # Families of several depths have a layout for each.
        keys = next(keys for keys in states if layout.sources(1e-5).keys() <= set(keys))
    counted = {key for key in keys if not key.endswith("num_batches_tracked")}
    missing = counted - layout.sources(1e-5).keys()
    assert {key.split(".")[1] for key in missing} <= (
        {"conv5", "weight"} if "backbone" in layout.name else set()
    )
    assert layout.origin


def test_class_names_are_in_the_order_of_imagenets_synsets() -> None:
    names = class_names()
    assert len(names) == 1000
    assert (names[0], names[1], names[999]) == ("tench", "goldfish", "toilet tissue")
    assert (names[207], names[281], names[817]) == ("golden retriever", "tabby", "sports car")
    assert not any("_" in name or name != name.strip() or not name for name in names)
