"""What a folder of C says of itself."""

from collections.abc import Mapping
from dataclasses import dataclass

from flyweight.exporting.describing import Description
from flyweight.native.interface import identifier, image_text, output_dimensions
from flyweight.native.plan import Plan
from flyweight.zoo.preprocessing import Preprocessing


@dataclass(frozen=True)
class Facts:
    """What is known of a network that was planned.

    Attributes:
        plan: of the network.
        description: what it is.
        weights: bytes of its file.
        native: whether it is for the machine that builds it.
        flags: for the compiler, but for the instruction set's.
    """

    plan: Plan
    description: Description
    weights: int
    native: bool
    flags: tuple[str, ...]


def readme_fields(facts: Facts) -> dict[str, str]:
    """What the templates have gaps for."""
    isa = facts.plan.isa
    own = ("-march=native",) if facts.native else isa.flags
    source = facts.description.weights
    return {
        "NATIVE": "ON" if facts.native else "OFF",
        "CPU_FLAGS": " ".join(isa.flags),
        "SHOWN_FLAGS": ";".join(isa.flags) or "none",
        "FLAGS": " ".join(facts.flags),
        "COMPILE": " ".join((*facts.flags, *own)),
        "OUTPUTS": str(len(facts.plan.outputs)),
        "FACTS": "\n".join(f"| {key} | {value} |" for key, value in _facts(facts)),
        "PLANNED": _planned(facts),
        "CALL": _call(facts),
        "IMAGES": _images(facts),
        "WEIGHTS": source if isinstance(source, str) else f"`{source['file']}`",
    }


def _facts(facts: Facts) -> list[tuple[str, str]]:
    plan, about = facts.plan, facts.description
    shapes = [" x ".join(map(str, output_dimensions(output))) for output in plan.outputs]
    source = about.weights
    rows = [
        ("network", about.network + (", lowered" if about.lowered else "")),
        ("options", ", ".join(f"{key} = {value!r}" for key, value in about.options.items())),
        ("an image", image_text(plan)),
        ("outputs", "; ".join(f"{shape} floats" for shape in shapes)),
        ("weights", source if isinstance(source, str) else _source(source)),
        ("file of weights", f"{facts.weights / 1e6:.1f} MB"),
        ("memory of an instance", f"{plan.memory_bytes() / 1e6:.1f} MB beside its weights"),
        ("planned for", f"{plan.isa.name}: vectors of {plan.isa.lanes} floats"),
    ]
    return [(key, _cell(value)) for key, value in rows if value]


def _source(weights: Mapping[str, str]) -> str:
    published = f", published as {weights['published']}" if "published" in weights else ""
    return (
        f"`{weights['file']}` ({weights['layout']} layout{published}), SHA-256 {weights['sha256']}"
    )


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _planned(facts: Facts) -> str:
    lanes, name = facts.plan.isa.lanes, facts.plan.isa.name
    return (
        f"How the work is cut up was chosen for {name}, with vectors of {lanes} floats. On any"
        " other machine it computes the same, at less than the best speed; `flyweight export --cpu`"
        " writes it for another one."
    )


def _call(facts: Facts) -> str:
    name = identifier(facts.description.network)
    rooms = ", ".join(
        f"malloc({name}_output_size({i}) * sizeof(float))" for i in range(len(facts.plan.outputs))
    )
    return (
        f"float *outputs[] = {{{rooms}}};\n"
        f"code = {name}_run(network, image, 1, outputs);                   /* 1 image */"
    )


def _images(facts: Facts) -> str:
    plan, how = facts.plan, facts.description.preprocessing
    opening = f"An image is {image_text(plan)}."
    if how is None:
        return (
            f"{opening} Nothing is known of how the network's images are prepared: do what its"
            " training did."
        )
    if plan.image.dtype == "uint8":
        values = (
            "Give RGB bytes as they are: colour order, scale, mean and deviation are in the"
            " weights."
        )
    else:
        order = "" if how.colour == "RGB" else f", in the order {how.colour}"
        values = (
            f"A pixel value v from 0 to 255 becomes (v * {how.scale:g} / 255 - mean) / deviation"
            f"{order}, with mean {list(how.mean)} and deviation {list(how.std)}."
        )
    if (plan.input.height, plan.input.width) != (how.crop, how.crop):
        return f"{opening} {values}"
    return (
        f"{opening} {values} Photographs are resized so that their shorter side has {how.resize}"
        f" pixels ({how.interpolation}), and cut to {how.crop} x {how.crop} from the centre. With"
        f" Pillow:\n\n```python\n{_snippet(facts, how)}\n```"
    )


def _snippet(facts: Facts, how: Preprocessing) -> str:
    """Python that writes image.raw."""
    image = facts.plan.image
    method = how.interpolation.upper()
    lines = [
        "import numpy as np",
        "from PIL import Image",
        "",
        'image = Image.open("photo.jpg").convert("RGB")',
        f"shorter, side = min(image.size), {how.crop}",
        f"sizes = [length * {how.resize} // shorter for length in image.size]",
        f"image = image.resize(sizes, Image.Resampling.{method})",
        "left, top = round((image.width - side) / 2), round((image.height - side) / 2)",
        "pixels = np.asarray(image.crop((left, top, left + side, top + side)))",
    ]
    if image.dtype == "uint8":
        return "\n".join([*lines, 'pixels.tofile("image.raw")'])
    if how.colour == "BGR":
        lines.append("pixels = pixels[:, :, ::-1]")
    lines += [
        f"mean, deviation = {list(how.mean)}, {list(how.std)}",
        f"x = (pixels * ({how.scale!r} / 255) - mean) / deviation",
    ]
    if image.planes:
        lines.append("x = x.transpose(2, 0, 1)")
    return "\n".join([*lines, 'x.astype(np.float32).tofile("image.raw")'])
