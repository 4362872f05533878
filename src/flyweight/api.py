"""The public functions that take a network or its name."""

import importlib
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from flyweight import decomposing, exporting
from flyweight.counting import Cost, count_model
from flyweight.decomposing import Decomposition
from flyweight.engines import Array, Options, Runner, engine_named
from flyweight.errors import UsageError, first_line
from flyweight.exporting import Exported
from flyweight.lowering import lower
from flyweight.measuring.environment import commit
from flyweight.native.plan import ImageFormat
from flyweight.nn import label
from flyweight.nn.trained import as_trained
from flyweight.records import NetworkFacts
from flyweight.zoo import create_model, list_models, model_info
from flyweight.zoo.preprocessing import Preprocessing, list_images


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


def to_time(model_or_name: nn.Module | str) -> nn.Module:
    """The network of `as_model`, for a measurement: one of the zoo is made as training leaves one.

    A fresh network has constants that happen to be equal, which engines treat in their own way;
    its time would not be a trained one's (see `flyweight.nn.trained`). Modules and factories give
    the network as it is.

    Raises:
        UsageError: as for `as_model`.
    """
    if isinstance(model_or_name, nn.Module) or ":" in model_or_name:
        return as_model(model_or_name)
    network = create_model(model_or_name)
    as_trained(network)
    return network


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
    precision: str = "float32",
    tune: bool = True,
    layout: str | None = None,
    preprocessing: Preprocessing | None = None,
) -> Runner:
    """Prepare a network to run on an engine. The network is not changed.

    Args:
        model_or_name: a module of one input, a name of the zoo (random weights, norms and biases as
            training leaves them), or "package.module:factory".
        example: an input (batch, channels, height, width), float32; the runner takes this shape.
            "native" also takes (batch, height, width, channels), and uint8 as cameras give it.
        engine: "eager", "compile", "onnxruntime", "openvino" or "native"; on an NVIDIA GPU
            "cuda-eager", "cuda-graph" or "cuda-compile".
        threads: CPU threads that the runner uses.
        lowered: run the network as `flyweight.lower` rewrites it for this engine; "native" does
            that in any case, and refuses it.
        precision: "float32", or "bfloat16" where the engine has it on this CPU. The runner takes
            and returns float32 in either, and its `dtype` says what really runs.
        tune: let "native" find out by measuring how each convolution is best cut up on this
            machine, and keep that for the next time; a fixed rule otherwise. The results are the
            same.
        layout: of the example, "NCHW" or "NHWC"; None is "NCHW", and "NHWC" for uint8.
        preprocessing: what the RGB bytes of a uint8 example become: colour order, scale, mean and
            deviation, which cost no time; the runner doesn't crop or resize.

    Raises:
        UsageError: an unknown name, engine or precision, a precision that the engine doesn't have
            on this CPU, threads below 1, or an example that the engine doesn't take.
        FlyweightError: an engine that isn't installed, or has no C compiler.
        CaptureError: a network that the engine can't run, or that can't be lowered.
    """
    array = example.detach().cpu().numpy() if isinstance(example, Tensor) else np.asarray(example)
    called = model_or_name if isinstance(model_or_name, str) else label(model_or_name)
    image = _example_format(array, layout, preprocessing, called)
    options = Options(threads, precision, tune, image)
    engine_named(engine).check(options, lowered)
    model = to_time(model_or_name)
    runner = make_runner(model, np.ascontiguousarray(array), engine, options, lowered)
    return replace(runner, facts=network_facts(model, image.read_as(array.shape)))


def _example_format(
    example: np.ndarray, layout: str | None, preprocessing: Preprocessing | None, network: str
) -> ImageFormat:
    """What the images are that a runner is to take.

    Raises:
        UsageError: numbers of another kind, no images, or bytes without a preprocessing.
    """
    kind = str(example.dtype)
    if kind not in exporting.PIXELS:
        raise UsageError(f"the example must be float32, or uint8 for engine 'native', not {kind}")
    if preprocessing is not None and kind != "uint8":
        raise UsageError("a preprocessing is for uint8 examples: float32 ones are prepared already")
    if example.ndim != 4 and (kind == "uint8" or layout == "NHWC"):
        raise UsageError(
            f"{kind} images are (batch, height, width, channels), and the example is"
            f" {example.shape}"
        )
    return exporting.image_format(kind, layout, preprocessing, example.shape[-1], network)


def make_runner(
    model: nn.Module, example: Array, engine: str, options: Options, lowered: bool = False
) -> Runner:
    """The engine's runner of a network, as it is or lowered, without facts.

    Raises:
        UsageError: as for `compile`.
        FlyweightError: likewise.
        CaptureError: likewise.
    """
    run = engine_named(engine).load()
    if not lowered:
        return run(model, example, options)
    module = lower(model, torch.from_numpy(example), engine=engine)
    return replace(run(module, example, options), network=label(model), lowered=True)


def decompose(
    model_or_name: nn.Module | str,
    example: Array | Tensor,
    engine: str = "onnxruntime",
    threads: int = 1,
    lowered: bool = False,
    tune: bool = True,
    budget_s: float = 10.0,
) -> Decomposition:
    """Say where a network's time goes on an engine: by operation, by class, and what bounds it.

    The whole is timed without profiling; the engine's own profiler times the parts, which are
    fitted to that total, and what is between them is the residual (docs/decompose.md). The network
    is not changed.

    Args:
        model_or_name: as for `compile`.
        example: an input, (batch, channels, height, width), float32.
        engine: "eager", "onnxruntime", "openvino" or "native".
        threads: CPU threads.
        lowered: decompose the network as `lower` rewrites it for this engine.
        tune: as for `compile`.
        budget_s: seconds to measure; the machine's peaks take 3 more.

    Raises:
        UsageError: an unknown name or engine, one that can't be decomposed, threads below 1, an
            example that the engine doesn't take, or a budget that isn't positive.
        FlyweightError: an engine that isn't installed, or a profile that can't be made sense of.
        CaptureError: a network that the engine can't run, or that can't be lowered.
    """
    options = Options(threads, tune=tune)
    decomposing.check(engine, options, lowered, budget_s)
    array = example.detach().cpu().numpy() if isinstance(example, Tensor) else np.asarray(example)
    if array.dtype != np.float32:
        raise UsageError(f"the example must be float32, not {array.dtype}")
    subject = to_decompose(
        to_time(model_or_name), np.ascontiguousarray(array), engine, options, lowered
    )
    (found,) = decomposing.decompose_all({engine: subject}, budget_s)
    return found


def to_decompose(
    model: nn.Module, example: Array, engine: str, options: Options, lowered: bool = False
) -> decomposing.Subject:
    """A network on an engine, as it is or lowered, to be decomposed.

    Raises:
        UsageError: as for `compile`.
        FlyweightError: likewise.
        CaptureError: likewise.
    """
    module = lower(model, torch.from_numpy(example), engine=engine) if lowered else model
    runner = replace(
        engine_named(engine).load()(module, example, options),
        network=label(model), lowered=lowered, facts=network_facts(model, example.shape),
    )  # fmt: skip
    return decomposing.Subject(runner, module, options)


def export(
    model_or_name: nn.Module | str,
    path: str | Path,
    format: str | None = None,
    input_size: Sequence[int] | None = None,
    weights: str | Path | None = None,
    images: Sequence[str | Path] = (),
    lowered: bool = False,
    preprocessing: Preprocessing | None = None,
    force: bool = False,
    cpu: str | None = None,
    pixels: str | None = None,
    layout: str | None = None,
) -> Exported:
    """Write a network to a file for other engines, and check the file. The network is not changed.

    The file takes any number of images, and says in its metadata what the network is, which
    weights it has and how images become its inputs. It is read back by its own engine and has to
    give the eager network's scores, within 1e-4 of the largest one; otherwise nothing is written.

    Args:
        model_or_name: a module of one input, a name of the zoo, "package.module:factory", or the
            folder of a training run.
        path: the file: .onnx, .xml (with a .bin beside it) or .pt2. For format "c" a folder.
        format: "onnx", "openvino", "torch" or "c"; None for what the path ends like.
        input_size: of the input, batch first; None for what the weights were trained with, or the
            network's paper has, or (1, 3, 224, 224).
        weights: a file of trained weights; a network of the zoo has fresh ones without it.
        images: photographs, or folders of them, to compare on beside random input; at most 32 are.
        lowered: write the network as `flyweight.lower` rewrites it for the format's engine.
        preprocessing: how images become inputs, where neither the zoo nor the weights say.
        force: overwrite files that are there.
        cpu: of format "c", for which instructions the work is cut up: "native" (this machine's,
            and None), "avx512", "avx2", "neon" or "portable". It runs on all.
        pixels: of format "c": "float32", or "uint8" for RGB bytes with the preprocessing folded
            into the first convolution; None is "float32".
        layout: of format "c": "NCHW" or "NHWC"; None is "NCHW", and "NHWC" for bytes.

    Raises:
        UsageError: an unknown name or format, a path that doesn't fit, a file that is there
            already, a network that doesn't run on this input, or bytes for a network of which
            nothing says what they become.
        WeightsError: weights that can't be read, or don't fit.
        CaptureError: a network that can't be captured, lowered or written in this format.
        FlyweightError: the format's engine isn't installed, the file can't be written, images
            can't be read, or the file computes something else.
    """
    from flyweight.trained import source_of  # it needs `as_model` in its turn

    choices = exporting.Choices(cpu, pixels, layout)
    target = exporting.target_of(Path(path), format, force, choices)
    photographs = list_images(images)
    file = None if weights is None else Path(weights)
    if isinstance(model_or_name, str):
        source = source_of(model_or_name, file)
    else:
        source = exporting.from_module(model_or_name, label(model_or_name), file)
    if preprocessing is not None:
        source = replace(source, preprocessing=preprocessing)
    size = input_size if input_size is not None else (1, *source.input_shape)
    return exporting.write(source, target, size, photographs, lowered, commit())


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
