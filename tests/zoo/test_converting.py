"""Files of others made ours: which network they are, and that nothing is lost."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from flyweight.errors import WeightsError
from flyweight.nn import Network
from flyweight.zoo import create_model
from flyweight.zoo.preprocessing import Preprocessing
from flyweight.zoo.weights import converting, save_weights
from flyweight.zoo.weights.converting import convert, network_of
from tests.data_dir import DATA, needs_data
from tests.zoo import reference_layouts as reference


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A file in torchvision's layout."""
    names = reference.Names(0)
    widths = reference.SHUFFLENET_WIDTHS["x0_5"]
    reference.torchvision_shufflenet_v2(names, torch.zeros(1, 3, 64, 64), widths)
    torch.save(dict(names), tmp_path / "small.pth")
    return tmp_path / "small.pth"


@needs_data
@pytest.mark.parametrize(
    ("file", "network"),
    [
        ("mobilenet_v1_025_224_keras", "mobilenet_v1_x0_25"),
        ("mobilenet_v1_0.5_160_quant", "mobilenet_v1_x0_5"),
        ("mobilenet_v2_1.0_224_quant", "mobilenet_v2_x1_0"),
        ("squeezenet1_0_deepcompression", "squeezenet_1_0"),
        ("squeezenet1_1_caffe_fp16", "squeezenet_1_1"),
    ],
)
def test_the_network_shows_in_the_tensors(file: str, network: str) -> None:
    assert network_of(DATA / "weights" / f"{file}.safetensors") == network


def test_the_form_decides_between_networks_of_the_same_tensors(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = ["shufflenet_v2_x0_5", "shufflenet_v2_x1_0", "shufflenet_v2_x0_5_halved"]
    monkeypatch.setattr(converting, "list_models", lambda: few)
    assert network_of(small) == "shufflenet_v2_x0_5_halved"
    monkeypatch.setattr(converting, "differing", lambda *_: {})
    both = "fit 'shufflenet_v2_x0_5', 'shufflenet_v2_x0_5_halved' alike: say which"
    with pytest.raises(WeightsError, match=both):
        network_of(small)


def test_a_file_of_ours_names_its_network_and_a_bare_state_does_not(tmp_path: Path) -> None:
    model = create_model("shufflenet_v2_x0_5")
    save_weights(model, tmp_path / "ours")
    assert network_of(tmp_path / "ours") == "shufflenet_v2_x0_5"
    torch.save(model.state_dict(), tmp_path / "state.pth")
    with pytest.raises(WeightsError, match=r"of a network of ours, .* with --model NAME"):
        network_of(tmp_path / "state.pth")


def test_a_file_that_would_compute_something_else_is_not_written(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def off(
        model: Network, file: Path, preprocessing: Preprocessing, classes: Sequence[str]
    ) -> None:
        model.stages["conv5"].norm.bias.data[0] += 1e-3
        save_weights(model, file, preprocessing, classes)
        model.stages["conv5"].norm.bias.data[0] -= 1e-3

    out = tmp_path / "ours.safetensors"
    out.write_bytes(b"before")
    monkeypatch.setattr(converting, "save_weights", off)
    with pytest.raises(WeightsError, match=r"ours\.safetensors would not give what"):
        convert(small, out, "shufflenet_v2_x0_5")
    assert out.read_bytes() == b"before"
    assert {path.name for path in tmp_path.iterdir()} == {"small.pth", "ours.safetensors"}
