"""What is done for one engine and not for another is exact all the same."""

import pytest
import torch
from torch import fx, nn

from flyweight import create_model
from flyweight.errors import UsageError
from flyweight.lowering import lower
from flyweight.lowering.rules import RULES
from tests.lowering.agreement import check, targets
from tests.lowering.own_networks import YoloLike


def convolutions(module: fx.GraphModule) -> list[tuple[int, int, int]]:
    """Channels read, channels put out and groups of every convolution."""
    found = []
    for node in module.graph.nodes:
        if getattr(node.target, "_opname", "") == "conv2d":
            weight = getattr(module, node.args[1].target)
            groups = node.args[6]
            found.append((weight.shape[1] * groups, weight.shape[0], groups))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("engine", [name for name in RULES if name])
def test_every_engine_gets_an_equal_network(engine: str) -> None:
    torch.manual_seed(0)
    check(create_model("shufflenet_v1_x0_5_g3", repeats=(2, 2, 1)), 64, engine=engine)
    check(create_model("shufflenet_v2_x1_0", repeats=(3, 2, 1)), 64, engine=engine)
    check(YoloLike(), 64, engine=engine)


@pytest.mark.slow
def test_onnxruntime_gets_whole_blocks() -> None:
    module = check(create_model("shufflenet_v2_x1_0", repeats=(3, 2, 2)), 64, engine="onnxruntime")
    for read, out, groups in convolutions(module)[1:]:
        if groups == 1:
            assert read % 4 == 0
        elif out not in (24, 116, 232):  # projections filter what the stage before put out
            assert out % 8 == 0
    plain = check(create_model("shufflenet_v2_x1_0", repeats=(3, 2, 2)), 64)
    assert any(read % 4 for read, _, groups in convolutions(plain) if groups == 1)


def test_zeros_stay_out_of_what_makes_them_infinite() -> None:
    class Inverse(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Conv2d(3, 10, 1), nn.Conv2d(10, 4, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.b(self.a(x).exp().reciprocal().square().add(1.0).log())

    module = check(Inverse(), 8, engine="onnxruntime")
    assert convolutions(module)[1][0] == 10


@pytest.mark.slow
def test_openvino_gets_an_index_for_a_shuffle_of_few_groups() -> None:
    for groups, expected in ((3, "index_select"), (8, "transpose")):
        name = f"shufflenet_v1_x1_0_g{groups}"
        names = targets(check(create_model(name, repeats=(2, 1, 1)), 64, engine="openvino"))
        assert expected in names
        assert names.count("index_select") + names.count("transpose") == 3


def test_an_unknown_engine() -> None:
    with pytest.raises(UsageError, match="unknown engine 'openvin'; did you mean openvino"):
        lower(create_model("shufflenet_v2_x0_5"), torch.randn(1, 3, 64, 64), "openvin")
