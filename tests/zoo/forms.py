"""Every structural form that a family has, as small as its options make it.

What holds for a form holds for all rows of its table: they differ in widths and depths alone. The
exhaustive tests check it on every row all the same.
"""

import pytest

from flyweight import list_models

_ROW = "row "

FORMS: dict[str, tuple[str, dict[str, object]]] = {
    "shufflenet_v2": ("shufflenet_v2_x0_5", {"repeats": (2, 3, 2)}),
    "shufflenet_v2_halved": ("shufflenet_v2_x1_0_halved", {"repeats": (2, 1, 2)}),
    "shufflenet_v2_se": (
        "shufflenet_v2_x2_0_se",
        {"widths": (8, 16, 32, 64, 64), "repeats": (2, 1, 2)},
    ),
    "shufflenet_v2_se_concat": (
        "shufflenet_v2_x2_0_se_concat",
        {"widths": (8, 16, 32, 64, 64), "repeats": (1, 1, 2)},
    ),
    "shufflenet_v2_halved_options": (
        "shufflenet_v2_x0_5_halved",
        {
            "widths": (8, 16, 32, 64, 64),
            "repeats": (1, 1, 2),
            "se_on": "branch",
            "residual": True,
            "extra_depthwise": "all",
        },
    ),
    "shufflenet_v2_star": ("shufflenet_v2_x0_5_star", {"repeats": (2, 1, 1)}),
    "shufflenet_v2_deep": (
        "shufflenet_v2_164_se",
        {"widths": (8, 16, 32, 64, 128, 64), "stem_convs": (8, 12), "repeats": (2, 1, 1, 2)},
    ),
    "shufflenet_v2_large": (
        "shufflenet_v2_large",
        {"stem": (8, 8, 16), "widths": (32, 64, 128, 128), "repeats": (2, 1, 1, 1), "last": 32},
    ),
    "shufflenet_v1": ("shufflenet_v1_x0_5_g3", {"repeats": (2, 1, 2)}),
    "shufflenet_v1_noshuffle": ("shufflenet_v1_x0_25_g3_noshuffle", {"repeats": (2, 1, 1)}),
    "shufflenet_v1_se": (
        "shufflenet_v1_x2_0_g3_se",
        {"width": 48, "stem": 12, "repeats": (2, 1, 1)},
    ),
    "shufflenet_v1_50": ("shufflenet_v1_50_g3", {"width": 48, "stem": 12, "repeats": (2, 1, 1, 1)}),
    "mobilenet_v1": ("mobilenet_v1_x0_25", {"repeats": 1}),
    "mobilenet_v1_same": ("mobilenet_v1_shallow", {"width": 0.25, "padding": "same"}),
    "mobilenet_v1_conv": ("mobilenet_v1_conv", {"width": 0.125, "repeats": 1}),
    "mobilenet_v2": ("mobilenet_v2_x0_35", {}),
    "mobilenet_v2_megvii": ("mobilenet_v2_x0_15", {}),
    "squeezenet": ("squeezenet_1_1", {}),
    "squeezenet_rounding_down": ("squeezenet_1_0", {"ceil_mode": False}),
    "squeezenet_simple_bypass": ("squeezenet_1_0_simple_bypass", {}),
    "squeezenet_complex_bypass": ("squeezenet_1_0_complex_bypass", {"stem": (16, 3)}),
    "squeezenext": ("squeezenext_x1_0_23", {"depths": (2, 1, 1, 1)}),
    "squeezenext_series": ("squeezenext_x1_0_23_v5", {"depths": (2, 1, 1, 1)}),
    "squeezenext_groups": ("squeezenext_x1_0_23_g", {"depths": (2, 1, 1, 1)}),
    "squeezenext_ida": ("squeezenext_x1_0_23_ida", {"depths": (2, 1, 1, 1)}),
    "tiny_darknet": ("tiny_darknet", {"width": 0.25}),
    "xception": ("xception", {"entry": (8, 12, 16), "middle": 1, "last": (24, 28, 32)}),
    "xception_light": ("xception_light_x0_5", {"repeats": (2, 1, 1)}),
    "densenet": ("densenet_121", {"growth": 4, "layers": (2, 1, 1, 1), "stem": 8}),
    "densenet_light": (
        "densenet_light_x0_5",
        {"growth": 4, "stem": 8, "layers": (1, 2, 1), "last": 64},
    ),
    "igcv2": ("igcv2_x0_25", {}),
    "igcv3": ("igcv3_d_x1_4", {"width": 0.3, "repeats": (1, 1, 1, 2, 1, 1, 1)}),
    "condensenet": ("condensenet_74_g4", {"layers": (1, 2, 1), "growth": (4, 4, 8)}),
    "condensenet_train": (
        "condensenet_74_g4",
        {"layers": (1, 2, 1), "growth": (4, 4, 8), "form": "train"},
    ),
    "nasnet_a": ("nasnet_a_4_1056", {"filters": 8, "repeats": 1}),
    "pnasnet_5": ("pnasnet_5_mobile", {"filters": 6, "repeats": 1}),
    "resnet_basic": ("resnet_18", {"width": 8, "repeats": (2, 1)}),
    "resnet": ("resnet_50", {"width": 8, "repeats": (2, 1)}),
    "resnet_b": ("resnet_50_b", {"width": 8, "repeats": (1, 2)}),
    "resnext": ("resnext_50_32x4d", {"width": 8, "repeats": (2, 1), "groups": 4}),
    "senet": ("senet_154", {"stem": (8, 8, 16), "repeats": (2, 1), "groups": 8}),
    "alexnet": ("alexnet", {"widths": (16, 32, 32, 32, 16), "hidden": (32, 24)}),
    "alexnet_one_tower": (
        "alexnet_one_tower",
        {"widths": (8, 16, 16, 16, 8), "hidden": (32, 24)},
    ),
    "vgg": ("vgg_16", {"widths": (8, 8, 16, 16, 16), "hidden": (32, 24)}),
    "googlenet": ("googlenet", {}),
    "googlenet_bn": ("googlenet_bn", {}),
    "inception_v3": ("inception_v3", {}),
    "pvanet": ("pvanet", {"hidden": (64, 32), "pooled": 2}),
}

CASES = [
    *FORMS,
    *(pytest.param(_ROW + name, marks=pytest.mark.exhaustive) for name in list_models()),
]
"""All forms, and exhaustively all rows."""


def case(key: str) -> tuple[str, dict[str, object]]:
    """The name and options of one of the cases."""
    return (key.removeprefix(_ROW), {}) if key.startswith(_ROW) else FORMS[key]
