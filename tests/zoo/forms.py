"""Every structural form that a family has, as small as its options make it.

What holds for a form holds for all rows of its table: they differ in widths and depths alone.
"""

FORMS: dict[str, tuple[str, dict[str, object]]] = {
    "shufflenet_v2": ("shufflenet_v2_x0_5", {}),
    "shufflenet_v2_halved": ("shufflenet_v2_x1_0_halved", {}),
    "shufflenet_v1": ("shufflenet_v1_x0_5_g3", {}),
    "mobilenet_v1": ("mobilenet_v1_x0_25", {}),
    "mobilenet_v1_same": ("mobilenet_v1_x0_25", {"padding": "same", "activation": "relu6"}),
    "mobilenet_v2": ("mobilenet_v2_x0_35", {}),
}
