"""Every network: what its paper and public implementations count, and what users do with it."""

import csv

import pytest
import torch
from torch import nn

from flyweight import create_model, list_models, model_info
from flyweight.catalogue import Counts, beside, counts
from flyweight.counting import count_model
from flyweight.errors import UsageError
from flyweight.nn import Network
from flyweight.zoo import table8_entries
from tests.data_dir import shared
from tests.zoo.counted import ROWS, Counted
from tests.zoo.forms import CASES, FORMS, case


def outline(name: str, **options: object) -> Network:
    """A network without values, which costs no memory and no time to run."""
    with torch.device("meta"):
        return create_model(name, **options)


def close(count: float, printed: float, decimals: int) -> bool:
    """Whether a count is the printed figure: to its last digit, which some sources round up."""
    return abs(count - printed) <= 10.0**-decimals


def count(row: Counted) -> Counts:
    if not row.options:
        return counts(row.network, row.size)
    found = count_model(outline(row.network, **dict(row.options)), (1, 3, row.size, row.size))
    return Counts(found.madds, found.params, found.memory_access, tuple(found.uncounted))


def quick(row: Counted) -> bool:
    """The paper's own networks, and the first of each other family."""
    family = model_info(row.network).family
    first = next(one for one in ROWS if model_info(one.network).family == family)
    return row is first or row.network.startswith("shufflenet")


@pytest.mark.parametrize(
    "row",
    [pytest.param(row, marks=[] if quick(row) else pytest.mark.slow, id=str(row)) for row in ROWS],
)
def test_counts_are_those_of_others(row: Counted) -> None:
    found = count(row)
    assert close(found.madds / 1e6, row.mmadds, row.decimals[0]), found.madds
    assert close((found.params + row.extra_params) / 1e6, row.mparams, row.decimals[1])
    assert not found.uncounted


def test_every_network_is_counted() -> None:
    assert {row.network for row in ROWS} == set(list_models())


def test_every_row_of_the_fact_table_is_here_and_equal_or_says_why() -> None:
    facts = {}
    with shared("facts/zoo.csv").open(encoding="utf-8") as file:
        for fact in csv.DictReader(file):
            facts[fact["family"], fact["variant"], fact["resolution"]] = fact
    ours = {(*row.fact, str(row.size)): row for row in ROWS if row.fact[0]}
    missing = set(facts) - set(ours) - set(NOT_OURS)
    assert not missing
    for key, row in ours.items():
        if key not in facts:
            assert row.reason, key
            continue
        for printed, figure in (("ref_mmadds", row.mmadds), ("ref_params", row.mparams)):
            # A row of several networks has their figures side by side.
            texts = facts[key][printed].split(" / ") if facts[key][printed] else []
            same = not texts or any(abs(float(text) - figure) <= 0.011 for text in texts)
            assert same or row.reason, (key, printed)


# Rows of the fact table that describe what others get wrong.
NOT_OURS = {
    ("ShuffleNetV2", "2x (pytorchcv shufflenetv2_w2)", "224"): "its own note: not the paper's",
}


@pytest.mark.parametrize("name", list_models())
def test_published_figures_match_or_the_row_says_why(name: str) -> None:
    for line in beside(name):
        row, found = line.published, line.counted
        # Papers round up, down or to the nearest, and large figures to fewer digits.
        if row.mflops is not None and not row.note:
            assert abs(found.madds / 1e6 - row.mflops) < max(1, 0.005 * row.mflops), row
        if row.params_m is not None and not row.note:
            assert abs(found.params / 1e6 - row.params_m) < 0.11, row


@pytest.mark.parametrize("name", list_models())
def test_every_row_says_what_is_the_papers(name: str) -> None:
    assert model_info(name).from_paper


def test_table_8_levels() -> None:
    small = table8_entries([40, 140])
    assert ("shufflenet_v2_x0_5", 224) in small
    assert ("mobilenet_v2_x0_4", 160) in small
    assert ("mobilenet_v2_x0_75_megvii", 192) in small
    assert len(small) == 17
    assert len(table8_entries([40, 140, 300, 500])) == 37


def light(name: str, **options: object) -> Network:
    """A network with values where they are few; running without values takes longer than with."""
    few = counts(name, model_info(name).resolution).params < 10e6
    return create_model(name, **options) if few else outline(name, **options)


OTHER_SIZES = ((32, 32), (64, 33), (97, 225))


def images(model: nn.Module, *shape: int) -> torch.Tensor:
    return torch.zeros(*shape, device=next(model.parameters()).device)


@pytest.mark.slow
@pytest.mark.parametrize("name", list_models())
def test_gradient_reaches_every_parameter(name: str) -> None:
    model = light(name, num_classes=7)
    size = max(64, model.min_size)
    model(images(model, 2, 3, size, size)).square().sum().backward()
    assert not [key for key, parameter in model.named_parameters() if parameter.grad is None]


@pytest.mark.parametrize("name", list_models())
def test_stages_are_as_announced(name: str) -> None:
    """Channels and strides without running are those of the maps; the head reads the last one."""
    model = light(name, num_classes=7).eval()
    with torch.no_grad():
        maps = model.features(images(model, 1, 3, 256, 256))
        for info, found in zip(model.stage_info, maps, strict=True):
            assert found.shape[:2] == (1, info.channels), info
            # Convolutions without padding lose a few pixels at the border.
            assert 256 / info.stride >= found.shape[2] >= 256 / info.stride * 0.9 - 2, info
        assert model.forward_head(maps[-1]).shape == (1, 7)
        assert model.forward_head(maps[-1], pre_logits=True).shape == (1, model.num_features)


@pytest.mark.parametrize(
    "size", [(33, 47), *(pytest.param(one, marks=pytest.mark.slow) for one in OTHER_SIZES)]
)
@pytest.mark.parametrize("form", FORMS)
def test_any_input_of_its_smallest_size_or_more(form: str, size: tuple[int, int]) -> None:
    name, options = FORMS[form]
    model = create_model(name, num_classes=3, in_channels=1, **options).eval()
    assert model.min_size in (32, 64) or form in UNPADDED
    height, width = (max(side, model.min_size) for side in size)
    with torch.no_grad():
        assert model(torch.randn(1, 1, height, width)).shape == (1, 3)


# Their convolutions without padding leave nothing of an input of 64 pixels.
UNPADDED = ("inception_v3",)


@pytest.mark.parametrize("form", CASES)
def test_forms_run(form: str) -> None:
    """With real values: features give the scores, and gradients are finite and not all zero."""
    name, options = case(form)
    torch.manual_seed(0)
    model = create_model(name, num_classes=7, **options)
    x = torch.randn(3, 3, max(64, model.min_size), max(64, model.min_size))
    model(x).square().sum().backward()
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    assert all(bool(torch.isfinite(gradient).all()) for gradient in gradients)
    assert any(bool(gradient.any()) for gradient in gradients)
    model.eval()
    with torch.no_grad():
        scores = model(x)
        assert scores.shape == (3, 7)
        torch.testing.assert_close(model.forward_head(model.features(x, [-1])[0]), scores)


@pytest.mark.parametrize("form", CASES)
def test_batch_and_layout_do_not_matter(form: str) -> None:
    name, options = case(form)
    torch.manual_seed(0)
    model = create_model(name, num_classes=9, **options).double().eval()
    x = torch.randn(3, 3, max(48, model.min_size), max(48, model.min_size), dtype=torch.float64)
    with torch.no_grad():
        together = model(x)
        alone = torch.cat([model(image[None]) for image in x])
        last = model.to(memory_format=torch.channels_last)(
            x.contiguous(memory_format=torch.channels_last)
        )
    torch.testing.assert_close(together, alone)
    torch.testing.assert_close(together, last)


@pytest.mark.slow
@pytest.mark.parametrize("form", CASES)
def test_initialisation_follows_the_seed(form: str) -> None:
    name, options = case(form)
    torch.manual_seed(3)
    first = create_model(name, num_classes=9, **options).state_dict()
    torch.manual_seed(3)
    second = create_model(name, num_classes=9, **options).state_dict()
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


@pytest.mark.parametrize("form", FORMS)
def test_reset_classifier(form: str) -> None:
    name, options = FORMS[form]
    model = create_model(name, **options).double().eval()
    model.reset_classifier(5)
    x = torch.randn(1, 3, model.min_size, model.min_size, dtype=torch.float64)
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
