"""Every network: what its paper and public implementations count, and what users do with it."""

import csv
import functools
from collections.abc import Iterator

import pytest
import torch
from torch import nn

from flyweight import cost, create_model, list_models, model_info
from flyweight.errors import UsageError
from flyweight.zoo import table8_entries
from tests.data_dir import shared

# (network, input size): millions of multiply-adds and of parameters that public implementations
# count, as the fact table of the papers' networks has them, and how many parameters they have
# beyond ours: the 1000 biases of a classifier that has none in the authors' code.
COUNTED = {
    ("shufflenet_v2_x0_5", 224): (40.476, 1.366792, 1000),
    ("shufflenet_v2_x1_0", 224): (145.814, 2.279, 0),
    ("shufflenet_v2_x1_5", 224): (298.971, 3.507, 0),
    ("shufflenet_v2_x2_0", 224): (590.783, 7.403, 0),
    ("shufflenet_v2_x0_5_halved", 224): (40.48, 1.366792, 0),
    ("shufflenet_v2_x1_0_halved", 224): (144.91, 2.278604, 0),
    ("shufflenet_v2_x1_5_halved", 224): (295.76, 3.503624, 0),
    ("shufflenet_v2_x2_0_halved", 224): (583.25, 7.393996, 0),
    ("shufflenet_v1_x1_0_g1", 224): (143.08, 1.532, 1000),
    ("shufflenet_v1_x1_0_g2", 224): (140.84, 1.734, 1000),
    ("shufflenet_v1_x1_0_g3", 224): (137.46, 1.865, 0),
    ("shufflenet_v1_x1_0_g4", 224): (134.34, 1.968, 1000),
    ("shufflenet_v1_x1_0_g8", 224): (138.37, 2.434, 0),
    ("shufflenet_v1_x0_5_g3", 224): (37.59, 0.717, 0),
    ("shufflenet_v1_x1_5_g3", 224): (292.44, 3.441, 0),
    ("shufflenet_v1_x2_0_g3", 224): (524.05, 5.45, 0),
    ("mobilenet_v1_x1_0", 224): (568.74, 4.232, 0),
    ("mobilenet_v1_x1_0", 192): (418.12, 4.232, 0),
    ("mobilenet_v1_x1_0", 160): (290.68, 4.232, 0),
    ("mobilenet_v1_x1_0", 128): (186.4, 4.232, 0),
    ("mobilenet_v1_x0_75", 224): (325.4, 2.586, 0),
    ("mobilenet_v1_x0_5", 224): (149.5, 1.332, 0),
    ("mobilenet_v1_x0_5", 160): (76.53, 1.332, 0),
    ("mobilenet_v1_x0_25", 224): (41.03, 0.47, 0),
    ("mobilenet_v2_x0_15", 224): (30.57, 1.415, 0),
    ("mobilenet_v2_x0_35", 224): (59.29, 1.677, 0),
    ("mobilenet_v2_x0_35", 96): (11.93, 1.677, 0),
    ("mobilenet_v2_x0_4", 160): (41.8, 1.771, 0),
    ("mobilenet_v2_x0_5", 224): (97.13, 1.969, 0),
    ("mobilenet_v2_x0_5", 160): (50.18, 1.969, 0),
    ("mobilenet_v2_x0_6", 224): (150.96, 2.217, 0),
    ("mobilenet_v2_x0_75", 192): (153.94, 2.636, 0),
    ("mobilenet_v2_x0_75", 224): (209.07, 2.636, 0),
    ("mobilenet_v2_x1_0", 224): (300.77, 3.505, 0),
    ("mobilenet_v2_x1_0", 128): (99.07, 3.505, 0),
    ("mobilenet_v2_x1_3", 224): (509.37, 5.387, 0),
    ("mobilenet_v2_x1_4", 224): (582.2, 6.109, 0),
}

# The same table's names for these rows, to compare with it where it can be had.
FACT_NAMES = {
    "ShuffleNetV2": {"0.5x": "x0_5", "1x": "x1_0", "1.5x": "x1_5", "2x": "x2_0"},
    "ShuffleNetV1": {
        **{f"1x g={g}": f"x1_0_g{g}" for g in (1, 2, 3, 4, 8)},
        **{f"{s}x g=3": f"x{s.replace('.', '_')}_g3" for s in ("0.5", "1.5")},
        "2x g=3": "x2_0_g3",
    },
    "MobileNetV1": {s: f"x{s.replace('.', '_')}" for s in ("0.25", "0.5", "0.75", "1.0")},
    "MobileNetV2": {
        **{s: f"x{s.replace('.', '_')}" for s in ("0.35", "0.5", "0.75", "1.0", "1.3", "1.4")},
        **{f"{s} (Megvii impl.)": f"x{s.replace('.', '_')}" for s in ("0.15", "0.4", "0.6")},
    },
}
PREFIXES = {
    "ShuffleNetV2": "shufflenet_v2_",
    "ShuffleNetV1": "shufflenet_v1_",
    "MobileNetV1": "mobilenet_v1_",
    "MobileNetV2": "mobilenet_v2_",
}
FAMILIES = ("shufflenet_v2_x0_5", "shufflenet_v2_x1_0_halved", "shufflenet_v1_x0_5_g3",
            "mobilenet_v1_x0_25", "mobilenet_v2_x0_35")  # fmt: skip
"""One small network of each family and form."""


def close(count: float, printed: float) -> bool:
    """Whether a count is the printed figure: to its last digit, which some sources round up."""
    decimals = max(2, len(str(printed).partition(".")[2]))
    return abs(count - printed) <= 10**-decimals


@functools.cache
def madds(name: str, size: int) -> int:
    return cost(name, (1, 3, size, size)).madds


@functools.cache
def params(name: str) -> int:
    with torch.device("meta"):
        return sum(p.numel() for p in create_model(name).parameters())


@pytest.mark.parametrize(("name", "size"), COUNTED)
def test_counts_are_those_of_public_implementations(name: str, size: int) -> None:
    mmadds, mparams, biases = COUNTED[name, size]
    assert close(madds(name, size) / 1e6, mmadds)
    assert close((params(name) + biases) / 1e6, mparams)


def test_every_network_is_in_the_table_of_counts() -> None:
    assert {name for name, _ in COUNTED} == set(list_models())


def fact_rows() -> Iterator[tuple[str, int, float, float]]:
    with shared("facts/zoo.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            variant = FACT_NAMES.get(row["family"], {}).get(row["variant"])
            if variant:
                name = PREFIXES[row["family"]] + variant
                size = int(row["resolution"])
                yield name, size, float(row["ref_mmadds"]), float(row["ref_params"])


def test_counts_equal_the_fact_table() -> None:
    rows = list(fact_rows())
    assert len(rows) > 40
    for name, size, mmadds, mparams in rows:
        biases = next(extra for (known, _), (_, _, extra) in COUNTED.items() if known == name)
        assert close(madds(name, size) / 1e6, mmadds), (name, size)
        assert close((params(name) + biases) / 1e6, mparams), name


@pytest.mark.parametrize("name", list_models())
def test_published_figures_match_or_the_row_says_why(name: str) -> None:
    for row in model_info(name).published:
        if row.mflops is None:
            continue
        counted = madds(name, row.resolution) / 1e6
        # Papers round up, down or to the nearest.
        assert abs(counted - row.mflops) < 1 or row.note, (row.source, counted, row.mflops)
        if row.params_m is not None and not row.note:
            assert abs(params(name) / 1e6 - row.params_m) < 0.11, (row.source, row.params_m)


def test_table_8_levels() -> None:
    small = table8_entries([40, 140])
    assert ("shufflenet_v2_x0_5", 224) in small
    assert ("mobilenet_v2_x0_4", 160) in small
    assert ("mobilenet_v2_x0_75", 192) in small
    assert len(small) == 10
    assert len(table8_entries([40, 140, 300, 500])) == 18


@pytest.mark.parametrize("name", list_models())
def test_forward_backward_features(name: str) -> None:
    torch.manual_seed(0)
    model = create_model(name, num_classes=7)
    x = torch.randn(2, 3, 64, 64)
    model(x).square().sum().backward()
    silent = [n for n, p in model.named_parameters() if p.grad is None]
    assert not silent
    model.eval()
    with torch.no_grad():
        scores = model(x)
        assert scores.shape == (2, 7)
        maps = model.features(x)
        for info, found in zip(model.stage_info, maps, strict=True):
            side = -(-64 // info.stride)
            assert found.shape == (2, info.channels, side, side), info
        torch.testing.assert_close(model.forward_head(maps[-1]), scores)
        torch.testing.assert_close(model.forward_features(x), maps[-1])
        assert model.forward_head(maps[-1], pre_logits=True).shape == (2, model.num_features)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("size", [(32, 32), (33, 47), (64, 32), (225, 225)])
def test_any_input_of_32_pixels_or_more(name: str, size: tuple[int, int]) -> None:
    model = create_model(name, num_classes=3, in_channels=1).eval()
    with torch.no_grad():
        assert model(torch.randn(1, 1, *size)).shape == (1, 3)


@pytest.mark.parametrize("name", FAMILIES)
def test_batch_and_layout_do_not_matter(name: str) -> None:
    torch.manual_seed(0)
    model = create_model(name).double().eval()
    x = torch.randn(3, 3, 48, 48, dtype=torch.float64)
    with torch.no_grad():
        together = model(x)
        alone = torch.cat([model(image[None]) for image in x])
        last = model.to(memory_format=torch.channels_last)(x)
    torch.testing.assert_close(together, alone)
    torch.testing.assert_close(together, last)


@pytest.mark.parametrize("name", FAMILIES)
def test_initialisation_follows_the_seed(name: str) -> None:
    torch.manual_seed(3)
    first = create_model(name).state_dict()
    torch.manual_seed(3)
    second = create_model(name).state_dict()
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_features_of_some_stages_in_the_order_asked() -> None:
    model = create_model("shufflenet_v2_x0_5").eval()
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        late, early = model.features(x, ["stage4", "stage2"])
        by_number = model.features(x, [1])[0]
    assert (late.shape[1], early.shape[1]) == (192, 48)
    torch.testing.assert_close(early, by_number)
    with pytest.raises(UsageError, match="did you mean stage4"):
        model.features(x, ["stage5"])
    with pytest.raises(UsageError, match="no stage 9"):
        model.features(x, [9])


def test_features_stop_after_the_last_stage_asked_for() -> None:
    model = create_model("shufflenet_v2_x0_5").eval()
    model.stages["stage3"] = nn.Identity()
    model.stages["stage3"].forward = None  # type: ignore[assignment]
    assert model.features(torch.randn(1, 3, 64, 64), ["stage2"])[0].shape[1] == 48


@pytest.mark.parametrize("name", FAMILIES)
def test_reset_classifier(name: str) -> None:
    model = create_model(name).double().eval()
    model.reset_classifier(5)
    x = torch.randn(1, 3, 32, 32, dtype=torch.float64)
    assert model(x).shape == (1, 5)
    model.reset_classifier(0)
    assert model(x).shape == (1, model.num_features)


def test_the_two_forms_of_shufflenet_v2() -> None:
    """The projection keeps the input's channels, or has half of the output's."""
    paper = create_model("shufflenet_v2_x1_0").stages["stage2"][0]
    halved = create_model("shufflenet_v2_x1_0_halved").stages["stage2"][0]
    assert paper.projection[1].conv.weight.shape[0] == 24
    assert paper.main[2].conv.weight.shape[0] == 116 - 24
    assert halved.projection[1].conv.weight.shape[0] == 58


def test_shufflenet_v1_groups() -> None:
    """The first pointwise convolution of stage 2 is not grouped, its second one is."""
    stage2, stage3 = (create_model("shufflenet_v1_x1_0_g3").stages[f"stage{i}"] for i in (2, 3))
    assert stage2[0].squeeze.conv.groups == 1
    assert stage2[0].expand.conv.groups == 3
    assert stage3[0].squeeze.conv.groups == 3


@pytest.mark.parametrize("name", ["mobilenet_v1_x0_25", "mobilenet_v2_x0_35"])
def test_same_padding_changes_what_is_read_not_the_shape(name: str) -> None:
    torch.manual_seed(0)
    symmetric = create_model(name).eval()
    same = create_model(name, padding="same").eval()
    same.load_state_dict(symmetric.state_dict())
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        a, b = symmetric.features(x), same.features(x)
    assert [m.shape for m in a] == [m.shape for m in b]
    # Shifted by a pixel: the stem's output differs, and on an odd size it doesn't.
    assert not torch.allclose(a[0], b[0])
    odd = torch.randn(1, 3, 65, 65)
    with torch.no_grad():
        torch.testing.assert_close(symmetric.features(odd, [0])[0], same.features(odd, [0])[0])


def test_names() -> None:
    assert list_models("shufflenet_v2_x?_?") == [
        "shufflenet_v2_x0_5", "shufflenet_v2_x1_0", "shufflenet_v2_x1_5", "shufflenet_v2_x2_0",
    ]  # fmt: skip
    assert list_models("nothing*") == []
    with pytest.raises(UsageError) as error:
        create_model("shufflenet_v2_x3_0")
    assert str(error.value) == (
        "unknown model 'shufflenet_v2_x3_0'; did you mean shufflenet_v2_x2_0?"
        " 'flyweight list' shows all"
    )
    with pytest.raises(UsageError, match="did you mean padding"):
        create_model("mobilenet_v1_x1_0", pading="same")
    with pytest.raises(UsageError, match="num_classes must be 0 or more"):
        create_model("mobilenet_v1_x1_0", num_classes=-1)


def test_info() -> None:
    info = model_info("mobilenet_v2_x0_4")
    assert info.resolution == 160
    published = info.at(160)
    assert published is not None
    assert published.top1_error == 43.4
    assert info.at(224) is None
    assert "unknown" in published.note
