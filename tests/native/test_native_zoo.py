"""The zoo compiled to C: every network computes what it computes in double precision."""

import pytest
import torch

from flyweight import create_model, list_models
from flyweight.nn.trained import as_trained
from tests.native.against import check, needs_compiler
from tests.zoo.forms import FORMS

pytestmark = needs_compiler

QUICK = (
    "shufflenet_v1_se",
    "squeezenet",
)
SLOW = [form for form in FORMS if form not in QUICK]


def check_network(name: str, options: dict[str, object]) -> None:
    torch.manual_seed(0)
    network = create_model(name, **{"num_classes": 10, **options})
    as_trained(network)
    side = max(64, network.min_size)
    generator = torch.Generator().manual_seed(1)
    check(network, torch.randn(2, 3, side, side, generator=generator))


@pytest.mark.parametrize("form", QUICK)
def test_compiled_forms(form: str) -> None:
    check_network(*FORMS[form])


@pytest.mark.slow
@pytest.mark.parametrize("form", SLOW)
def test_other_compiled_forms(form: str) -> None:
    check_network(*FORMS[form])


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", list_models())
def test_compiled_rows(name: str) -> None:
    check_network(name, {})
