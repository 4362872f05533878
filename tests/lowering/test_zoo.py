"""The zoo lowered: every network computes what it computed, and the moves are gone."""

import pytest
import torch
from torch import fx

from flyweight import create_model, list_models
from flyweight.graph.moves import MOVES
from tests.lowering.agreement import check
from tests.zoo.forms import FORMS

QUICK = (
    "shufflenet_v2_se_concat",
    "condensenet",
)
SLOW = [form for form in FORMS if form not in QUICK]


def lowered(name: str, options: dict[str, object], dtype: torch.dtype) -> fx.GraphModule:
    torch.manual_seed(0)
    model = create_model(name, **{"num_classes": 10, **options})
    return check(model, max(64, model.min_size), dtype)


@pytest.mark.parametrize("form", QUICK)
def test_forms(form: str) -> None:
    lowered(*FORMS[form], torch.float64)


@pytest.mark.slow
@pytest.mark.parametrize("form", SLOW)
def test_other_forms(form: str) -> None:
    lowered(*FORMS[form], torch.float64)


@pytest.mark.slow
@pytest.mark.parametrize("name", list_models())
def test_rows_in_single_precision(name: str) -> None:
    lowered(name, {}, torch.float32)


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", list_models())
def test_rows_in_double_precision(name: str) -> None:
    lowered(name, {}, torch.float64)


def widths(module: fx.GraphModule, target: str) -> list[int]:
    """Channels put out by every operation of a kind."""
    found: list[int] = []

    class Interpreter(fx.Interpreter):
        def call_function(self, called: object, args: tuple, kwargs: dict) -> object:  # type: ignore[type-arg]
            result = super().call_function(called, args, kwargs)
            if getattr(called, "_opname", "") == target:
                found.append(result.shape[1])
            return result

    with torch.no_grad():
        Interpreter(module).run(torch.randn(1, 3, 64, 64, dtype=torch.float64))
    return found


def names(module: fx.GraphModule) -> set[str]:
    return {getattr(node.target, "_opname", "") for node in module.graph.nodes}


@pytest.mark.slow
@pytest.mark.parametrize("form", ["paper", "halved"])
def test_no_shuffle_and_no_full_width_unit_is_left_in_shufflenet_v2(form: str) -> None:
    suffix = "" if form == "paper" else "_halved"
    module = lowered(f"shufflenet_v2_x1_0{suffix}", {"repeats": (3, 4, 3)}, torch.float64)
    assert not names(module) & {"transpose", "permute", "chunk", "unbind", "stack", "index_select"}
    # A unit joins what its convolutions read, half of the stage. All of a stage is joined once,
    # for the next stage, which reads all of it.
    expected = [58] * 2 + [116] + [116] * 3 + [232] + [232] * 2 + [464]
    assert sorted(widths(module, "cat")) == sorted(expected)


@pytest.mark.slow
def test_no_shuffle_is_left_before_a_depthwise_convolution_in_shufflenet_v1() -> None:
    module = lowered("shufflenet_v1_x1_0_g3", {"repeats": (3, 3, 2)}, torch.float64)
    transposes = [n for n in module.graph.nodes if getattr(n.target, "_opname", "") == "transpose"]
    # The first unit's first convolution isn't grouped: its shuffle is in the order of its weights.
    assert len(transposes) == 3 + 3 + 2 - 1
    for node in transposes:
        (reshape,) = node.users
        (reader,) = reshape.users
        assert reader.args[-1] == 3, "read by a group convolution, not the depthwise one"
    # Only the stages' first units join: the shortcut and what they add to it.
    assert sorted(widths(module, "cat")) == [240, 480, 960]


def test_moves_are_all_known() -> None:
    assert all(callable(move) for move in MOVES.values())
