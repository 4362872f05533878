"""Our own engine: the network compiled to C for this machine (docs/native.md)."""

import torch
from torch import nn

import flyweight
from flyweight.engines.protocol import Array, Options, Runner
from flyweight.errors import UsageError
from flyweight.native.building import compiler, version
from flyweight.native.compiling import compile_network
from flyweight.nn import label


def check(options: Options) -> None:
    """Refuse what the engine hasn't.

    Raises:
        UsageError: another precision than float32.
        FlyweightError: there is no C compiler.
    """
    compiler()
    if options.precision != "float32":
        raise UsageError(
            f"the native engine computes in float32: leave {options.precision} out, or use engine"
            " 'openvino'"
        )


def prepare(model: nn.Module, example: Array, options: Options) -> Runner:
    """A runner of the compiled network (see `Prepare`).

    Raises:
        UsageError: another precision than float32.
        CaptureError: the module can't be captured, or has an operation that the engine hasn't.
        FlyweightError: no compiler, or one that fails.
    """
    check(options)
    network = label(model)
    image = options.image
    compiled = compile_network(
        model, torch.zeros(image.read_as(example.shape)), network, options.threads, image,
        tune=options.tune,
    )  # fmt: skip

    def call(x: Array) -> Array | tuple[Array, ...]:
        outputs = compiled.network(x)
        return outputs[0] if len(outputs) == 1 else outputs

    return Runner(
        engine="native",
        network=network,
        threads=options.threads,
        example=example,
        dtype="float32",
        layout=image.layout,
        libraries={"flyweight": flyweight.__version__, "compiler": version()},
        call=call,
    )
