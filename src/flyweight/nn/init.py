"""How the papers and their code start weights."""

import math

from torch import Tensor, nn


def _zero(*tensors: Tensor | None) -> None:
    for tensor in tensors:
        if tensor is not None:
            nn.init.zeros_(tensor)


def init_shufflenet(network: nn.Module) -> None:
    """The official ShuffleNet V1 and V2 start.

    Convolutions are normal with deviation 1 / (input channels per group), the first one and the
    classifier with 0.01; the shift of batch norm is 1e-4.
    """
    first = True
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.normal_(module.weight, 0.0, 0.01 if first else 1.0 / module.weight.shape[1])
            _zero(module.bias)
            first = False
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.constant_(module.bias, 1e-4)
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, 0.0, 0.01)
            _zero(module.bias)


def init_truncated(network: nn.Module, std: float) -> None:
    """Normal, cut off at two deviations, as TensorFlow's code starts its networks; biases 0."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.trunc_normal_(module.weight, 0.0, std, -2 * std, 2 * std)
            _zero(module.bias)


def init_mobilenet(network: nn.Module) -> None:
    """The start of TensorFlow's MobileNet code: truncated normal with deviation 0.09."""
    init_truncated(network, 0.09)


def init_he(network: nn.Module, linear_std: float | None = None) -> None:
    """He et al. (2015): convolutions normal with deviation sqrt(2 / fan), biases 0.

    The fan is that of the outputs, as in the code of ResNet's authors.

    Args:
        network: changed in place.
        linear_std: deviation of linear layers; None leaves them as PyTorch starts them.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            _zero(module.bias)
        elif isinstance(module, nn.Linear) and linear_std is not None:
            nn.init.normal_(module.weight, 0.0, linear_std)
            _zero(module.bias)


def init_normal(network: nn.Module, std: float = 0.01) -> None:
    """Convolutions and linear layers normal with one deviation, biases 0 (AlexNet, VGG)."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.normal_(module.weight, 0.0, std)
            _zero(module.bias)


def init_xavier(network: nn.Module) -> None:
    """Caffe's "xavier": uniform within sqrt(3 / fan in), biases 0."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            bound = math.sqrt(3.0 / module.weight[0].numel())
            nn.init.uniform_(module.weight, -bound, bound)
            _zero(module.bias)
