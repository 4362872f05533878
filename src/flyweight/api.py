"""The public functions that take a network or its name."""

import importlib
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from flyweight.counting import Cost, count_model
from flyweight.engines import Array, Options, Runner, engine_named
from flyweight.errors import UsageError, first_line
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
    model = as_model(model_or_name)
    runner = prepare(model, np.ascontiguousarray(array), options)
    return replace(runner, facts=network_facts(model, array.shape))


def network_facts(
    model: nn.Module, input_size: Sequence[int], name: str | None = None
) -> NetworkFacts | None:
    """What a record says of a network: counts for one image, and its published error.

    An error is published for a network of the zoo as its paper has it; one that was created with
    other classes, channels or widths has none. None where the network can't be counted.

    Args:
        model: any module.
        input_size: shape of the input, batch first; the counts are for a batch of 1.
        name: how to call it; its own name otherwise.
    """
    try:
        counts = count_model(model, (1, *input_size[1:]))
    except UsageError:
        return None
    variant = label(model)
    info = model_info(variant) if variant in list_models() else None
    published = info.at(input_size[-1]) if info and _as_published(model, variant) else None
    return NetworkFacts(
        name=name or variant,
        family=info.family if info else None,
        madds=counts.madds,
        params=counts.params,
        memory_access=counts.memory_access,
        top1_error=published.top1_error if published else None,
        top1_source=published.source if published else None,
    )


def _as_published(model: nn.Module, variant: str) -> bool:
    """Whether the parameters are, by name and shape, those of the zoo's network."""
    with torch.device("meta"):
        original = create_model(variant)
    shapes = [
        {name: parameter.shape for name, parameter in network.named_parameters()}
        for network in (model, original)
    ]
    return shapes[0] == shapes[1]
