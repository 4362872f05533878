"""A network and what lowering makes of it compute the same."""

import copy

import torch
from torch import Tensor, fx, nn
from torch.utils._pytree import tree_flatten, tree_leaves

from flyweight.lowering import lower


def randomise(model: nn.Module, seed: int = 0) -> nn.Module:
    """Batch norms as training leaves them; fresh ones would hide mistakes in folding."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(like: Tensor, low: float, high: float) -> Tensor:
        return torch.rand(like.shape, generator=generator, dtype=like.dtype) * (high - low) + low

    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
            module.running_mean = uniform(module.running_mean, -0.3, 0.3)
            module.running_var = uniform(module.running_var, 0.5, 2)
            module.weight.data = uniform(module.weight, 0.5, 1.5)
            module.bias.data = uniform(module.bias, -0.3, 0.3)
    return model.eval()


def difference(a: object, b: object) -> float:
    """Over all outputs the largest difference, relative to that output's largest value."""
    leaves, structure = tree_flatten(a)
    assert tree_flatten(b)[1] == structure
    worst = 0.0
    for one, other in zip(leaves, tree_leaves(b), strict=True):
        assert one.shape == other.shape
        worst = max(worst, float((one - other).abs().max() / one.abs().max().clamp(min=1e-30)))
    return worst


def check(
    model: nn.Module, size: int, dtype: torch.dtype = torch.float64, engine: str | None = None
) -> fx.GraphModule:
    """Lower a model and compare on batches of 1 and 3; the lowered one.

    They agree to 1e-12 in double and 1e-5 in single precision. Where rounding alone takes the
    original further than that from its result in double precision (IGCV3: 4e-4), the lowered one
    may be as far from it as twice the original is.
    """
    model = randomise(model).to(dtype)
    before = copy.deepcopy(model.state_dict())
    x = torch.randn(3, 3, size, size, dtype=dtype, generator=torch.Generator().manual_seed(1))
    lowered = lower(model, x[:1], engine)
    with torch.no_grad():
        for batch in (1, 3):
            expected, found = model(x[:batch]), lowered(x[:batch])
            if difference(expected, found) <= {torch.float64: 1e-12, torch.float32: 1e-5}[dtype]:
                continue
            assert dtype == torch.float32
            exact = copy.deepcopy(model).double()(x[:batch].double())
            assert difference(exact, found) <= 2 * difference(exact, expected)
    after = model.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert not model.training
    return lowered


def targets(module: fx.GraphModule) -> list[str]:
    """The operations of a lowered network, in order, without their overloads."""
    calls = [node for node in module.graph.nodes if node.op == "call_function"]
    return [getattr(node.target, "_opname", str(node.target)) for node in calls]
