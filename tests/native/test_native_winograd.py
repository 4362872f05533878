"""Winograd's algorithm for 3x3 convolutions, against the formula and double precision."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flyweight.native.blocks import fixed_block
from flyweight.native.compiling import program_of
from flyweight.native.isa import ISAS
from flyweight.native.nodes import Convolution
from flyweight.native.plan import Block, Plan
from flyweight.native.winograd import transformed
from tests.native.against import built, error, exact, needs_compiler

pytestmark = needs_compiler


class Each(nn.Module):
    """Convolutions side by side: odd sizes, channels in halves of a vector, of two producers."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.other = nn.Conv2d(3, 48, 1), nn.Conv2d(3, 48, 3, padding=1)
        self.same = nn.Conv2d(96, 40, 3, padding=1)
        self.inside = nn.Conv2d(96, 33, 3, bias=False)
        self.wide = nn.Conv2d(48, 64, 3, padding=(2, 0))
        self.after = nn.Conv2d(40, 40, 3, padding=1)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        one, other = self.one(x), self.other(x).relu()
        both = torch.cat((other, one), 1)
        same = self.same(both).relu()
        return (
            same, F.relu6(self.inside(both)), self.wide(one).sigmoid(),
            (self.after(same) + same).relu(),
        )  # fmt: skip


@pytest.fixture(scope="module")
def model() -> Each:
    torch.manual_seed(0)
    return Each().eval()


def images(batch: int = 2) -> Tensor:
    return torch.randn(batch, 3, 13, 11, generator=torch.Generator().manual_seed(0))


def places(plan: Plan) -> set[str]:
    """The modules whose convolutions are done so."""
    nodes = [step.node for step in plan.steps]
    return {node.where for node in nodes if isinstance(node, Convolution) and node.winograd}


@pytest.mark.parametrize(
    "name", ["avx512", *(pytest.param(n, marks=pytest.mark.slow) for n in ("avx2", "neon"))]
)
def test_double_precision(model: Each, name: str) -> None:
    """However many threads there are, and however the products are cut up: the same bits."""
    x, isa = images(), ISAS[name]
    expected = exact(model, x)
    found = []
    for threads, block in ((1, None), (3, Block(3, 1))):
        choose = fixed_block if block is None else lambda shape, isa, block=block: block
        plan, network = built(program_of(model, x[:1]), isa, choose, threads)
        assert places(plan) == {"same", "inside", "wide", "after"}
        found.append(network(x.numpy()))
    for mine, other, true in zip(*found, expected, strict=True):
        assert error(mine, true) < 2e-6
        np.testing.assert_array_equal(mine, other)


@pytest.mark.parametrize("value", [torch.inf, -torch.inf, torch.nan])
def test_what_is_not_finite_stays_where_it_is(model: Each, value: float) -> None:
    """A sum of a tile's inputs would carry it to outputs that don't read it, or make it another."""
    x = images(1)
    _, network = built(program_of(model, x))
    x[0, 1, 6, 4] = value
    with torch.no_grad():
        expected = [one.numpy() for one in model(x)]
    assert not all(np.isfinite(one).all() for one in expected)
    for mine, true in zip(network(x.numpy()), expected, strict=True):
        finite = np.isfinite(true)
        np.testing.assert_array_equal(np.isfinite(mine), finite)
        np.testing.assert_array_equal(mine[~finite], true[~finite])
        np.testing.assert_allclose(mine[finite], true[finite], rtol=1e-4, atol=1e-5)


def test_a_tile_by_the_papers_formula() -> None:
    """Y = A^T [(G g G^T) . (B^T d B)] A, summed over the inputs."""
    b = np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]])
    a = np.array([[1, 1, 1, 0], [0, 1, -1, -1]])
    torch.manual_seed(0)
    weight, d = torch.randn(5, 3, 3, 3), torch.randn(3, 4, 4)
    u = transformed(weight).reshape(4, 4, 3, 5)
    products = np.einsum("abko,kab->oab", u, b @ d.numpy() @ b.T)
    found = a @ products @ a.T
    np.testing.assert_allclose(found, F.conv2d(d[None], weight)[0].numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "conv",
    [
        nn.Conv2d(32, 32, 3, stride=2, padding=1), nn.Conv2d(32, 32, 3, padding=2, dilation=2),
        nn.Conv2d(32, 32, 3, padding=1, groups=2), nn.Conv2d(32, 32, 5, padding=2),
        nn.Conv2d(32, 32, 1), nn.Conv2d(32, 2, 3, padding=1),
    ],
    ids=["stride", "dilation", "groups", "5x5", "1x1", "two outputs"],
)  # fmt: skip
def test_other_convolutions_are_done_plainly(conv: nn.Conv2d) -> None:
    model = nn.Sequential(nn.Conv2d(3, 32, 1), nn.ReLU(), conv).eval()
    plan, _ = built(program_of(model, images(1)))
    assert places(plan) == set()
