"""The public functions that take a network or its name."""

import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from flyweight import measuring
from flyweight.counting import Cost, count_model
from flyweight.engines import Array, Options, Runner, engine_named
from flyweight.errors import UsageError, first_line
from flyweight.measuring import Measurements
from flyweight.nn import label
from flyweight.records import NetworkFacts
from flyweight.zoo import create_model, list_models, model_info


def as_model(model_or_name: nn.Module | str) -> nn.Module:
    """A module as it is, a network of the zoo by name, or what "package.module:factory" returns.

    A factory's module is looked for in the current folder too.

    Raises:
        UsageError: an unknown name, a module that doesn't import, or a factory that fails or
            returns no `torch.nn.Module`.
    """
    if isinstance(model_or_name, nn.Module):
        return model_or_name
    if ":" in model_or_name:
        return _from_factory(model_or_name)
    return create_model(model_or_name)


def _from_factory(spec: str) -> nn.Module:
    module_name, _, factory_name = spec.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        raise UsageError(
            f"{spec}: module {module_name!r} doesn't import:"
            f" {type(error).__name__}: {first_line(error)}"
        ) from error
    factory = getattr(module, factory_name, None)
    if not callable(factory):
        raise UsageError(f"{spec}: module {module_name!r} has no function {factory_name!r}")
    try:
        model = factory()
    except Exception as error:
        raise UsageError(
            f"{spec}: the factory failed: {type(error).__name__}: {first_line(error)}"
        ) from error
    if not isinstance(model, nn.Module):
        raise UsageError(f"{spec} returned {type(model).__name__}, not a torch.nn.Module")
    return model


def cost(model_or_name: nn.Module | str, input_size: Sequence[int] = (1, 3, 224, 224)) -> Cost:
    """Count multiply-adds, parameters and memory access of a network. It is not changed.

    Args:
        model_or_name: a module of one input, a name of the zoo, or "package.module:factory".
        input_size: shape of the input, batch first.

    Raises:
        UsageError: an unknown name, or a network that doesn't run on this input.
    """
    if isinstance(model_or_name, str) and ":" not in model_or_name:
        with torch.device("meta"):  # no weights are needed to count
            return count_model(create_model(model_or_name), input_size)
    return count_model(as_model(model_or_name), input_size)


def compile(
    model_or_name: nn.Module | str,
    example: Array | Tensor,
    engine: str = "onnxruntime",
    threads: int = 1,
    lowered: bool = False,
) -> Runner:
    """Prepare a network to run on an engine. The network is not changed.

    Args:
        model_or_name: a module of one input, a name of the zoo (with fresh weights), or
            "package.module:factory".
        example: an input (batch, channels, height, width), float32; the runner takes this shape.
        engine: "eager", "compile", "onnxruntime" or "openvino".
        threads: CPU threads that the runner uses.
        lowered: run the lowered network; this version has no lowering yet and refuses True.

    Raises:
        UsageError: an unknown name or engine, threads below 1, or an example that isn't float32.
        FlyweightError: an engine that isn't installed.
        CaptureError: a network that the engine can't run.
    """
    if lowered:
        raise UsageError("lowered=True: this version of Flyweight has no lowering yet")
    array = example.detach().cpu().numpy() if isinstance(example, Tensor) else np.asarray(example)
    if array.dtype != np.float32:
        raise UsageError(f"the example must be float32, not {array.dtype}")
    options = Options(threads=threads)
    prepare = engine_named(engine).load()
    return prepare(as_model(model_or_name), np.ascontiguousarray(array), options)


def measure(runners: Mapping[str, Callable[..., object]], budget_s: float = 10.0) -> Measurements:
    """Time runners against each other in interleaved rounds (see `flyweight.measuring.measure`).

    Records of the zoo's networks also hold what is known of them: multiply-adds, parameters,
    published error.

    Args:
        runners: by name; what `flyweight.compile` gives, or functions of no argument.
        budget_s: seconds for the whole run.

    Raises:
        UsageError: no runners, a budget that isn't positive, or a runner that fails.
        MeasurementInterrupted: Ctrl-C after the first round; it holds what was measured.
    """
    facts = {
        name: network_facts(runner.network, runner.example.shape)
        for name, runner in runners.items()
        if isinstance(runner, Runner) and runner.network in list_models()
    }
    return measuring.measure(runners, budget_s, facts)


def network_facts(
    model_or_name: nn.Module | str, input_size: Sequence[int], name: str | None = None
) -> NetworkFacts:
    """What a record says of a network: counts for one image of this size, published error.

    Args:
        model_or_name: a module, a name of the zoo, or "package.module:factory".
        input_size: shape of the input, batch first; the counts are for a batch of 1.
        name: how to call it; its own name otherwise.
    """
    counts = cost(model_or_name, (1, *input_size[1:]))
    known = name or (model_or_name if isinstance(model_or_name, str) else label(model_or_name))
    info = model_info(known) if known in list_models() else None
    published = info.at(input_size[-1]) if info else None
    return NetworkFacts(
        name=known,
        family=info.family if info else None,
        madds=counts.madds,
        params=counts.params,
        memory_access=counts.memory_access,
        top1_error=published.top1_error if published else None,
        top1_source=published.source if published else None,
    )
