"""Deep Compression (Han, Mao, Dally; 2016; arXiv 1510.00149): prune, share, encode."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from torch import nn

from flyweight.compress.choosing import densities_for
from flyweight.compress.coded import Coded, Packed, Plain
from flyweight.compress.holding import sharing_held, zeros_held
from flyweight.compress.pruning import Densities, pruned_layers, put, schedule, weights_of
from flyweight.compress.retraining import SHARED_RATE, Retraining, accuracy, retrain
from flyweight.compress.sharing import resnapped, shared_layers
from flyweight.compress.sizes import (
    FLOAT_BITS,
    as_pairs,
    as_pairs_of_floats,
    as_run,
    packed_with,
    state_of,
)
from flyweight.errors import WeightsError
from flyweight.training.loop import Accuracy


@dataclass(frozen=True)
class Plan:
    """What a network is compressed to.

    Attributes:
        bits: of a code: 1 to 8.
        density: the share of all weights that is left, or that of each layer by name.
        rounds: of pruning and retraining, until the density is reached.
    """

    bits: int = 8
    density: float | Densities = 1.0
    rounds: int = 1


@dataclass(frozen=True, eq=False)
class Stage:
    """Where a network stands after a step.

    Attributes:
        name: of the step.
        density: the share of the compressed layers' weights that is left.
        bits: of a weight that is left.
        bytes: of all tensors: as they are run, or, once it is pruned or shared, as pairs of a
            weight and a gap.
        state: the network's tensors.
        accuracy: on images that aren't learned from; None without images.
    """

    name: str
    density: float
    bits: int
    bytes: int
    state: Mapping[str, Plain]
    accuracy: Accuracy | None


@dataclass
class _Course:
    """A compression under way."""

    model: nn.Module
    metadata: Mapping[str, str]
    how: Retraining | None
    tell: Callable[[str, float], None]
    stages: list[Stage] = field(default_factory=list)

    @property
    def trains(self) -> Retraining | None:
        """How it is trained; None where it isn't."""
        return self.how if self.how is not None and self.how.epochs > 0 else None

    def stage(self, name: str, bits: int, size: int) -> None:
        """Note where the network stands."""
        weights = weights_of(self.model).values()
        left = sum(int(np.count_nonzero(one)) for one in weights)
        self.tell(f"{name}: evaluating", 0.0)
        found = None if self.how is None else accuracy(self.model, self.how)
        density = left / sum(one.size for one in weights)
        self.stages.append(Stage(name, density, bits, size, state_of(self.model), found))

    def put(self, name: str, coded: Mapping[str, Coded], bits: int) -> Packed:
        """Give the layers values that they share, and note where the network stands."""
        put(self.model, {layer: one.values() for layer, one in coded.items()})
        packed = packed_with(state_of(self.model), coded, self.metadata)
        self.stage(name, bits, as_pairs(packed))
        return packed


def compress(
    model: nn.Module,
    plan: Plan,
    how: Retraining | None,
    metadata: Mapping[str, str],
    tell: Callable[[str, float], None] = lambda what, share: None,
) -> tuple[Packed, list[Stage]]:
    """Prune a network, let its weights share values, and train between the steps.

    Args:
        model: changed in place; it ends as it will be decoded.
        plan: what is wanted.
        how: it is trained; None to leave out all training, and to know no accuracy.
        metadata: that belongs to the weights, as in safetensors.
        tell: told what is done, and which share of it.

    Returns:
        The tensors, and where the network stood after each step.

    Raises:
        WeightsError: weights that aren't finite.
        UsageError: no layers, or bits that aren't 1 to 8.
        FlyweightError: as for training.
        KeyboardInterrupt: it was told to stop; the same call, with `how.resume`, goes on.
    """
    model.eval()
    state = state_of(model)
    for name, tensor in state.items():
        if not np.isfinite(tensor).all():
            raise WeightsError(f"{name} holds NaN or infinity: nothing is compressed")
    course = _Course(model, metadata, how, tell)
    course.stage("as it is", FLOAT_BITS, as_run(state))
    densities = plan.density
    if isinstance(densities, float):
        densities = densities_for(densities, model, weights_of(model), how, tell)
    if any(density < 1 for density in densities.values()):
        _prune(course, densities, plan.rounds)
    tell("sharing", 0.0)
    coded = shared_layers(weights_of(model), plan.bits)
    packed = course.put("shared", coded, plan.bits)
    if course.trains:
        with sharing_held(model, coded):
            retrain(model, "share", course.trains, SHARED_RATE)
        weights = weights_of(model)
        coded = {name: resnapped(one, weights[name]) for name, one in coded.items()}
        packed = course.put("values trained", coded, plan.bits)
    return packed, course.stages


def _prune(course: _Course, densities: Densities, rounds: int) -> None:
    """Prune in rounds, with training in each."""
    model, how = course.model, course.trains
    steps = schedule(densities, rounds if how else 1)
    for number, step in enumerate(steps, 1):
        put(model, pruned_layers(weights_of(model), step))
        size = as_pairs_of_floats(model)
        if number == len(steps):
            course.stage("pruned", FLOAT_BITS, size)
        if how:
            with zeros_held(model):
                retrain(model, f"prune-{number}", how)
    if how:
        course.stage("retrained", FLOAT_BITS, size)
