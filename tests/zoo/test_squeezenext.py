"""SqueezeNext: blocks, how stages begin, and parameters written out."""

import itertools

import pytest
import torch
from torch import nn

from flyweight import create_model
from flyweight.errors import UsageError
from flyweight.nn import Network
from flyweight.zoo.squeezenext import AggregatedNetwork, Block


def outline(name: str, **options: object) -> Network:
    with torch.device("meta"):
        return create_model(name, **options)


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def blocks(model: Network) -> list[Block]:
    return [module for module in model.modules() if isinstance(module, Block)]


@pytest.mark.parametrize(
    "name", ["squeezenext_x1_0_23", "squeezenext_x1_0_23_v5", "squeezenext_x1_0_34"]
)
def test_separable_filters_alternate_block_by_block(name: str) -> None:
    """3x1 before 1x3 in odd blocks of the network, the other way round in even ones."""
    for number, block in enumerate(blocks(outline(name)), start=1):
        kernels = [module.conv.kernel_size for module in block.branch]
        pads = [module.conv.padding for module in block.branch]
        tall, flat = (3, 1), (1, 3)
        middle = [tall, flat] if number % 2 else [flat, tall]
        assert kernels == [(1, 1), (1, 1), *middle, (1, 1)]
        assert pads[2:4] == [(1, 0) if kernel == tall else (0, 1) for kernel in middle]


def branch(read: int, c: int, groups: int = 1) -> int:
    """1x1 -> c/2, 1x1 -> c/4, 3x1 -> c/2, 1x3 -> c/2, 1x1 -> c, and two numbers a channel."""
    half, quarter = c // 2, c // 4
    weights = read * half // groups + half * quarter + half * c
    weights += (3 * quarter * half + 3 * half * half) // groups
    return weights + 2 * (half + quarter + half + half + c)


def fit(read: int, c: int) -> int:
    return read * c + 2 * c


@pytest.mark.parametrize(
    ("name", "stem", "depths", "series", "groups", "width", "total"),
    [
        ("x1_0_23", 7, (6, 6, 8, 1), False, 1, 1, 717_280),
        ("x1_0_23_g", 7, (6, 6, 8, 1), False, 2, 1, 543_072),
        ("x1_0_23_v5", 5, (2, 4, 14, 1), True, 1, 1, 930_016),
        ("x2_0_23", 7, (6, 6, 8, 1), False, 1, 2, 2_361_728),
        ("x2_0_23_v5", 5, (2, 4, 14, 1), True, 1, 2, 3_222_912),
    ],
)
def test_parameters_of_the_authors_files(
    name: str,
    stem: int,
    depths: tuple[int, ...],
    series: bool,
    groups: int,
    width: int,
    total: int,
) -> None:
    """Block by block; the totals are those of the five published network files."""
    model = outline(f"squeezenext_{name}")
    expected = [stem * stem * 3 * 64 + 2 * 64]
    read = 64
    for stage, depth in enumerate(depths):
        c = width * 32 * 2**stage
        expected.append(fit(read, c) + branch(c if series else read, c, groups))
        expected += [branch(c, c, groups)] * (depth - 1)
        read = c
    expected += [read * 128 + 2 * 128, 128 * 1000]
    built = [model.stages["stem"], *blocks(model), model.stages["last"], model.classifier]
    assert [parameters(module) for module in built] == expected
    assert parameters(model) == sum(expected) == total


def test_a_stage_begins_in_parallel_or_in_series() -> None:
    """With a branch that gives 0, what is left is the projection, of the input or before all."""
    torch.manual_seed(0)
    x = torch.randn(1, 64, 8, 8)
    for projection in ("parallel", "series"):
        block = Block(64, 32, 2, 1, False, projection).eval()
        nn.init.zeros_(block.branch[4].conv.weight)
        with torch.no_grad():
            torch.testing.assert_close(block(x), block.projection(x))
        reads = block.branch[0].conv
        assert (reads.in_channels, reads.stride) == (
            (64, (2, 2)) if projection == "parallel" else (32, (1, 1))
        )
    plain = Block(32, 32, 1, 1, True, None).eval()
    nn.init.zeros_(plain.branch[4].conv.weight)
    x = torch.randn(1, 32, 8, 8)
    with torch.no_grad():
        assert torch.equal(plain(x), x.clamp(min=0))
    with pytest.raises(UsageError, match="did you mean series"):
        create_model("squeezenext_x1_0_23", projection="serial")


def test_maps_of_both_stems() -> None:
    """7x7 and 5x5 without padding at 227, pooled with rounding up."""
    x = torch.zeros(1, 3, 227, 227)
    for name, sizes in (
        ("squeezenext_x1_0_23", [55, 55, 28, 14, 7, 7]),
        ("squeezenext_x1_0_23_v2", [56, 56, 28, 14, 7, 7]),
    ):
        with torch.no_grad():
            maps = create_model(name, depths=(1, 1, 1, 1)).eval().features(x)
        assert [found.shape[2] for found in maps] == sizes


def test_aggregation_adds_what_its_nodes_hold() -> None:
    """A projection to the stage's width, and a 1x1 convolution of both, at stages 2 to 4."""
    widths = (32, 64, 128, 256)
    nodes = [fit(before, c) + fit(2 * c, c) for before, c in itertools.pairwise(widths)]
    with_ida = outline("squeezenext_x1_0_23_ida")
    assert isinstance(with_ida, AggregatedNetwork)
    assert [parameters(node) for node in with_ida.nodes.values()] == nodes
    assert parameters(with_ida) == 717_280 + sum(nodes)


def test_aggregation_reaches_back_and_not_forward() -> None:
    """The last stage reads all four; the stages themselves read only those before them."""
    torch.manual_seed(0)
    plain = create_model("squeezenext_x1_0_23", depths=(1, 1, 1, 1)).eval()
    ida = create_model("squeezenext_x1_0_23", depths=(1, 1, 1, 1), aggregated=True).eval()
    ida.load_state_dict(plain.state_dict(), strict=False)
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        *backbone, _ = plain.features(x)
        *same, last = ida.features(x)
        for a, b in zip(backbone, same, strict=True):
            assert torch.equal(a, b)
        aggregate = same[1]
        for stage, map_ in zip(("stage2", "stage3", "stage4"), same[2:], strict=True):
            node = ida.nodes[stage]
            aggregate = node.join(torch.cat((node.projection(aggregate), map_), 1))
        torch.testing.assert_close(ida.stages["last"](aggregate), last)
        torch.testing.assert_close(ida(x), ida.classifier(last.mean((2, 3))))
        # Nothing after stage 2 runs where only that is asked for.
        ida.stages["stage3"] = nn.Identity()
        ida.stages["stage3"].forward = None  # type: ignore[assignment]
        assert torch.equal(ida.features(x, ["stage2", "stem"])[0], same[2])
