"""How the papers' code starts its weights."""

from torch import nn


def init_shufflenet(network: nn.Module) -> None:
    """The official ShuffleNet V1 and V2 start.

    Convolutions are normal with deviation 1 / (input channels per group), the first one and the
    classifier with 0.01; the shift of batch norm is 1e-4.
    """
    first = True
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.normal_(module.weight, 0.0, 0.01 if first else 1.0 / module.weight.shape[1])
            first = False
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.constant_(module.bias, 1e-4)
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, 0.0, 0.01)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def init_mobilenet(network: nn.Module) -> None:
    """The start of TensorFlow's MobileNet code: truncated normal with deviation 0.09."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.trunc_normal_(module.weight, 0.0, 0.09, -0.18, 0.18)
        elif isinstance(module, nn.Linear):
            nn.init.trunc_normal_(module.weight, 0.0, 0.09, -0.18, 0.18)
            nn.init.zeros_(module.bias)
