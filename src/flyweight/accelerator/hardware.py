"""The accelerator: every choice that the model makes is a field here, with its source.

The simulator of the papers was never published, and what their texts leave open is read in some
way; such a field's source begins with "our reading". No value was chosen for what comes out.
"""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

from flyweight.errors import UsageError, unknown

Hiding = Literal["exposed", "hidden"]
"""Whether the array waits for a transfer, or computes meanwhile."""
Dataflow = Literal["weight", "output"]
Picking = Literal["fastest", "weight", "output"]
Keeping = Literal["any", "operands", "weights", "inputs", "outputs"]
"""What may stay in the buffer while the rest streams by; operands are weights or inputs."""

SQUEEZENEXT = "SqueezeNext (Gholami et al., 2018, arXiv 1803.10615), hardware section"
TABLE = "SqueezeNext (arXiv 1803.10615), table of hardware performance"
RECALLED = f"as remembered of {SQUEEZENEXT}; its text was not at hand"
SIBLING = (
    "as remembered of its sibling (Kwon et al., 2018, arXiv 1804.10642); its text was not at hand"
)
EYERISS = "Eyeriss (Chen et al., ISCA 2016), normalised energy of an access, as remembered"
OURS = "our reading"


def _from(source: str) -> dict[str, str]:
    """What a field keeps beside its default."""
    return {"source": source}


@dataclass(frozen=True)
class Energy:
    """Energy of one access of a word, in that of one multiply-add, and accesses a multiply-add.

    Attributes:
        mac: one 16-bit multiply-add.
        register: a word read from or written to a processing element's own registers.
        hop: a word handed to a neighbouring processing element.
        buffer: a word between the global buffer and the array.
        dram: a word between the DRAM and the buffer.
        weight_registers: register accesses of a multiply-add, weight-stationary.
        weight_hops: words handed on for it.
        output_registers: register accesses of a multiply-add, output-stationary.
        output_hops: words handed on for it.
    """

    mac: float = field(default=1.0, metadata=_from(EYERISS))
    register: float = field(default=1.0, metadata=_from(EYERISS))
    hop: float = field(default=2.0, metadata=_from(EYERISS))
    buffer: float = field(
        default=6.0, metadata=_from(f"{EYERISS}; the same for every size of the buffer ({OURS})")
    )
    dram: float = field(default=200.0, metadata=_from(EYERISS))
    weight_registers: float = field(
        default=1.0, metadata=_from(f"{OURS}: the weight that stays is read")
    )
    weight_hops: float = field(
        default=1.0, metadata=_from(f"{OURS}: the partial sum goes on to the next element")
    )
    output_registers: float = field(
        default=3.0, metadata=_from(f"{OURS}: the input is read, the partial sum read and written")
    )
    output_hops: float = field(
        default=0.0,
        metadata=_from(
            f"{OURS}: weights are broadcast, and an element keeps the inputs of its window"
        ),
    )

    def __post_init__(self) -> None:
        for one in dataclasses.fields(self):
            value = getattr(self, one.name)
            if not (math.isfinite(value) and value >= 0):
                raise UsageError(f"energy: {one.name} must be 0 or more, not {value}")


@dataclass(frozen=True)
class Accelerator:
    """A square array of processing elements with a global buffer and a DRAM behind it.

    Attributes:
        array: processing elements on a side, N; each does one multiply-add a cycle.
        buffer_bytes: size of the global buffer.
        word_bytes: of a weight, an input, an output or a partial sum.
        clock_hz: cycles per second.
        bandwidth: bytes per second between DRAM and buffer.
        latency: cycles until the DRAM's first word, once a layer: everything else is fetched
            while the layer before it, or the piece before it, is computed.
        sparsity: share of the weights that are zero. Output-stationary skips them;
            weight-stationary multiplies by them, and the DRAM keeps them like others.
        port: words a cycle between buffer and array; None for N.
        partial_sums: output channels whose sums an element's registers hold in output-stationary;
            inputs are loaded again for every so many. None for all.
        preload: whether the array waits for weights (weight-stationary) or for a block's inputs
            (output-stationary), or computes meanwhile.
        drain: whether it waits for a block's outputs to leave (output-stationary).
        kept_share: share of the buffer for the tensor that stays in it; the rest is for what
            streams by.
        keeping: which tensor that may be: the one with which the DRAM moves least, or always the
            same.
        halo: whether neighbouring blocks of outputs each load the inputs that both need.
        picking: the dataflow of each layer: the faster one, or always the same.
        energy: of every access.
    """

    array: int = field(default=16, metadata=_from(TABLE))
    buffer_bytes: int = field(default=128 * 1024, metadata=_from(TABLE))
    word_bytes: int = field(default=2, metadata=_from(f"16-bit integers: {RECALLED}"))
    clock_hz: float = field(default=1e9, metadata=_from(f"{OURS}: no source gives a clock"))
    bandwidth: float = field(default=16e9, metadata=_from(RECALLED))
    latency: int = field(default=100, metadata=_from(RECALLED))
    sparsity: float = field(
        default=0.4, metadata=_from(f"{SIBLING}, and is little to be trusted: try 0 too")
    )
    port: int | None = field(
        default=None, metadata=_from(f"{OURS}: as many words a cycle as a side of the array")
    )
    partial_sums: int | None = field(
        default=None, metadata=_from(f"{OURS}: registers are large enough for all")
    )
    preload: Hiding = field(
        default="exposed", metadata=_from(f"{OURS}: weights and inputs are loaded, then used")
    )
    drain: Hiding = field(
        default="exposed", metadata=_from(f"{OURS}: a block's outputs leave before the next begins")
    )
    kept_share: float = field(
        default=0.5, metadata=_from(f"double buffering: {RECALLED}; one half is {OURS}")
    )
    keeping: Keeping = field(
        default="any", metadata=_from(f"{OURS}: each layer is cut up in the way that moves least")
    )
    halo: bool = field(default=True, metadata=_from(f"{OURS}: blocks know nothing of each other"))
    picking: Picking = field(default="fastest", metadata=_from(RECALLED))
    energy: Energy = field(default=Energy(), metadata=_from("see there"))

    def __post_init__(self) -> None:
        for name in ("array", "word_bytes", "port", "partial_sums"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UsageError(f"accelerator: {name} must be 1 or more, not {value}")
        for name in ("clock_hz", "bandwidth"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise UsageError(f"accelerator: {name} must be more than 0, not {value:g}")
        if self.latency < 0:
            raise UsageError(f"accelerator: latency must be 0 or more, not {self.latency}")
        if not 0 <= self.sparsity < 1:
            raise UsageError(
                f"accelerator: sparsity must be at least 0 and below 1, not {self.sparsity}"
            )
        if not 0 < self.kept_share <= 1:
            raise UsageError(
                f"accelerator: kept_share must be above 0 and at most 1, not {self.kept_share}"
            )
        if self.buffer_bytes * self.kept_share < self.word_bytes:
            raise UsageError(
                f"accelerator: a buffer of {self.buffer_bytes} bytes holds no word; give it more"
            )
        words = {"preload": Hiding, "drain": Hiding, "picking": Picking, "keeping": Keeping}
        for name, known in words.items():
            if getattr(self, name) not in get_args(known):
                raise unknown(name, str(getattr(self, name)), get_args(known))

    @property
    def elements(self) -> int:
        """Processing elements."""
        return self.array**2

    @property
    def words_a_cycle(self) -> int:
        """Between buffer and array."""
        return self.port or self.array

    @property
    def kept_words(self) -> int:
        """What stays in the buffer, in words."""
        return int(self.buffer_bytes * self.kept_share) // self.word_bytes

    @property
    def name(self) -> str:
        """For people: the array and the buffer, e.g. "16x16, 128 KB"."""
        return f"{self.array}x{self.array}, {self.buffer_bytes / 1024:g} KB"


PRESETS: dict[str, Accelerator] = {
    "8x8": Accelerator(array=8, buffer_bytes=32 * 1024),
    "16x16": Accelerator(),
}
"""The two accelerators of SqueezeNext's table of hardware performance."""


def preset(name: str) -> Accelerator:
    """An accelerator of `PRESETS`.

    Raises:
        UsageError: there is none of this name.
    """
    if name not in PRESETS:
        raise unknown("preset", name, PRESETS)
    return PRESETS[name]


def changed(accelerator: Accelerator, fields: Mapping[str, Any]) -> Accelerator:
    """The accelerator with other fields; those of `Energy` by their own names.

    Raises:
        UsageError: an unknown field, or a value that makes no sense.
    """
    of_energy = {one.name for one in dataclasses.fields(Energy)}
    of_array = {one.name for one in dataclasses.fields(Accelerator)} - {"energy"}
    for name in fields:
        if name not in of_energy | of_array:
            raise unknown("field of the accelerator", name, of_energy | of_array)
    energy = {name: value for name, value in fields.items() if name in of_energy}
    rest = {name: value for name, value in fields.items() if name in of_array}
    return replace(accelerator, **rest, energy=replace(accelerator.energy, **energy))


@dataclass(frozen=True)
class Choice:
    """A field of the accelerator: its value, and who says so."""

    name: str
    value: Any
    source: str
    """Of the default; "given" where the value is another."""


def choices(accelerator: Accelerator) -> list[Choice]:
    """Every field, those of the energies last.

    Array and buffer are the table's where they are one of its two pairs.
    """
    found = []
    usual = next((one for one in PRESETS.values() if one.array == accelerator.array), Accelerator())
    pairs = ((accelerator, usual), (accelerator.energy, usual.energy))
    for whole, default in pairs:
        for one in dataclasses.fields(whole):
            value = getattr(whole, one.name)
            if one.name == "energy":
                continue
            known = value == getattr(default, one.name)
            found.append(Choice(one.name, value, one.metadata["source"] if known else "given"))
    return found
