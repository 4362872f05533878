"""Layers worked out by hand: cycles, accesses and energy of both dataflows, and DRAM traffic.

The accelerator of all cases: 4 x 4 elements; a buffer of 512 words, of which half (256) keep a
tensor; 4 words a cycle between buffer and array; 8 bytes = 4 words a cycle of DRAM after a latency
of 10 cycles; a quarter of the weights zero.
"""

from dataclasses import dataclass, replace

import pytest

from flyweight.accelerator import (
    Accelerator,
    Layer,
    dram_words,
    output_stationary,
    simulate_layer,
    weight_stationary,
)

TINY = Accelerator(array=4, buffer_bytes=1024, bandwidth=8e9, latency=10, sparsity=0.25)


@dataclass(frozen=True)
class Case:
    """A layer, and (cycles, waiting, weights, inputs, outputs) by hand.

    The last three are words between buffer and array.
    """

    layer: Layer
    madds: int
    weight: tuple[float, float, float, float, float]
    output: tuple[float, float, float, float, float]
    dram: int


CASES = {
    # 2 tiles of input channels, tiles of 4 and 2 output channels; 25 pixels stream by each.
    # Loading 4x4 weights takes 4 cycles, 4x2 take 2: 2*(25+4) + 2*(25+2) = 112.
    # Every input is read for both output tiles: 25*8*2. Two passes: 150 written twice, read once.
    # Output: blocks of 4x4, 4x1, 1x4, 1x1; 48*0.75 = 36 weights each.
    # Loads 8*16/4, 8*4/4, 8*4/4, 8/4; outputs leave in 6*16/4, 6*4/4, 6*4/4, ceil(6/4):
    # (32+24) + 2*(8+6) + (2+2) = 88 cycles of waiting, and 4*36 of computing.
    "1x1": Case(
        Layer("", 8, 6, (5, 5), (5, 5)), 1200,
        (112, 12, 48, 400, 450), (232, 88, 144, 200, 150), 48 + 200 + 150,
    ),
    # One tile, 9 taps of 16 pixels and 4 cycles of loading. 9 passes: 9 writes and 8 reads.
    # One block; its inputs are the whole map, as padding isn't loaded: 4*16/4 = 16 cycles; the
    # outputs leave in 16; 144*0.75 = 108 weights.
    "3x3": Case(
        Layer("", 4, 4, (4, 4), (4, 4), (3, 3), padding=(1, 1)), 2304,
        (180, 36, 144, 576, 64 * 17), (140, 32, 108, 64, 64), 144 + 64 + 64,
    ),
    # One channel at a time: 8 groups of 9 taps of 36 pixels, and a cycle to load one weight.
    # Blocks along an axis: outputs 0-3 read rows 0-4, outputs 4-5 read rows 3-5. Inputs of a
    # channel: 25 + 15 + 15 + 9 = 64. 9*0.75 = 6.75 weights a block; loads 7, 4, 4, 3 (rounded up);
    # outputs leave in 4, 2, 2, 1.
    "depthwise": Case(
        Layer("", 8, 8, (6, 6), (6, 6), (3, 3), padding=(1, 1), groups=8), 2592,
        (8 * 9 * 37, 72, 72, 36 * 8 * 9, 288 * 17),
        (8 * (4 * 6.75 + 27), 8 * 27, 8 * 4 * 6.75, 8 * 64, 288), 8 * (9 + 36 + 36),
    ),
    # Two groups of 4 to 4 channels on a 4x4 map: 16 pixels + 4 to load; 12 weights + 16 + 16.
    "grouped": Case(
        Layer("", 8, 8, (4, 4), (4, 4), groups=2), 512,
        (40, 8, 32, 128, 128), (88, 64, 24, 128, 128), 2 * (16 + 64 + 64),
    ),
    # Three input channels of 4 rows: 49 taps, 2 output tiles, 49 pixels + 3*4/4 to load.
    # Blocks along an axis: outputs 0-3 read positions -3..9, that is 10 rows; outputs 4-6 read
    # 5..15, that is 5..12: 8 rows. Inputs 3*(100 + 80 + 80 + 64) = 972.
    # 3*8*49*0.75 = 882 weights; loads 75 + 60 + 60 + 48, outputs 32 + 24 + 24 + 18.
    # DRAM: weights 1176 (5 parts), inputs 507 (2 parts), outputs 392 (2 parts). Keeping outputs
    # is cheapest: 1176 + 2*507 = 2190 (weights: 1176 + 5*507; inputs: 507 + 2*1176).
    "first": Case(
        Layer("", 3, 8, (13, 13), (7, 7), (7, 7), (2, 2), (3, 3)), 57624,
        (49 * 2 * 52, 49 * 2 * 3, 1176, 49 * 3 * 49 * 2, 392 * 97),
        (4 * 882 + 341, 341, 4 * 882, 972, 392), 2190 + 392,
    ),
    # A linear layer larger than the buffer: 150 x 125 tiles, each 4 cycles to load for one pixel.
    # One output of each channel: the element in the corner does all of it.
    # Weights 300000 (1172 parts), inputs 600 (3), outputs 500 (2): keeping outputs, 300000 + 1200.
    "linear": Case(
        Layer("", 600, 500, (1, 1), (1, 1), linear=True), 300000,
        (18750 * 5, 18750 * 4, 300000, 600 * 125, 500 * 299),
        (225000 + 275, 275, 225000, 600, 500), 301200 + 500,
    ),
    # Stride 2 skips three pixels of four: only 4 x 4 of each channel are loaded. The DRAM's
    # words come in rows, skipped ones too.
    "1x1/2": Case(
        Layer("", 4, 4, (8, 8), (4, 4), stride=(2, 2)), 256,
        (20, 4, 16, 64, 64), (12 + 32, 32, 12, 64, 64), 16 + 256 + 64,
    ),
    # Outputs 0-3 read 0..3 + {0, 2, 4} = 0..7, output 4 reads 4, 6, 8: 8 and 3 rows.
    # Inputs 64 + 24 + 24 + 9; loads 16, 6, 6, 3; outputs leave in 4, 1, 1, 1; 6.75 weights.
    "dilated": Case(
        Layer("", 1, 1, (9, 9), (5, 5), (3, 3), dilation=(2, 2)), 225,
        (9 * 26, 9, 9, 225, 25 * 17), (4 * 6.75 + 38, 38, 27, 121, 25), 9 + 81 + 25,
    ),
    # Two images: the weights stay for both, blocks are done for each.
    "images": Case(
        Layer("", 4, 4, (4, 4), (4, 4), images=2), 512,
        (36, 4, 16, 128, 128), (88, 64, 24, 128, 128), 16 + 128 + 128,
    ),
    # A kernel of one row: rows aren't read by neighbours, columns are: 4 x 6 = 24 of each channel.
    "1x3": Case(
        Layer("", 2, 4, (4, 6), (4, 4), (1, 3)), 384,
        (3 * (16 + 2), 6, 24, 16 * 2 * 3, 64 * 5), (18 + 12 + 16, 28, 18, 48, 64), 24 + 48 + 64,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_by_hand(name: str) -> None:
    case = CASES[name]
    assert case.layer.madds == case.madds
    weight, output = weight_stationary(case.layer, TINY), output_stationary(case.layer, TINY)
    assert weight.madds == case.madds
    assert output.madds == pytest.approx(0.75 * case.madds)
    for work, expected in ((weight, case.weight), (output, case.output)):
        found = (work.cycles, work.waiting, work.buffer_weights, work.buffer_inputs,
                 work.buffer_outputs)  # fmt: skip
        assert found == pytest.approx(expected)
    assert dram_words(case.layer, TINY) == case.dram


@pytest.mark.parametrize(
    ("name", "dataflow", "cycles", "bound"),
    [
        ("1x1", "weight", 112, "array"),  # the DRAM takes 398*2/8 + 10 = 109.5
        ("3x3", "output", 140, "array"),
        ("depthwise", "output", 432, "array"),
        ("grouped", "weight", 288 / 4 + 10, "dram"),
        ("first", "output", 3869, "array"),
        ("linear", "weight", 93750, "array"),
        ("1x1/2", "weight", 336 / 4 + 10, "dram"),
    ],
)
def test_the_faster_dataflow(name: str, dataflow: str, cycles: float, bound: str) -> None:
    result = simulate_layer(CASES[name].layer, TINY)
    assert (result.dataflow, result.bound) == (dataflow, bound)
    assert result.cycles == pytest.approx(cycles)
    case = CASES[name]
    other = case.output if dataflow == "weight" else case.weight
    assert result.other_cycles == pytest.approx(other[0])


def test_energy_weight_stationary() -> None:
    """A 1x1 convolution: 1200 multiply-adds, 48 + 400 + 450 words of buffer, 398 of DRAM."""
    result = simulate_layer(CASES["1x1"].layer, TINY)
    assert result.energy == {
        "mac": 1200, "register": 1200, "hop": 2 * 1200, "buffer": 6 * 898, "dram": 200 * 398,
    }  # fmt: skip
    assert result.total_energy == 1200 + 1200 + 2400 + 5388 + 79600
    assert result.utilisation == pytest.approx(1200 / (112 * 16))


def test_energy_output_stationary() -> None:
    """A 3x3 convolution: 1728 of 2304 multiply-adds, 108 + 64 + 64 words of buffer, 272 of DRAM."""
    result = simulate_layer(CASES["3x3"].layer, TINY)
    assert result.energy == pytest.approx(
        {"mac": 1728, "register": 3 * 1728, "hop": 0, "buffer": 6 * 236, "dram": 200 * 272}
    )
    assert result.utilisation == pytest.approx(1728 / (140 * 16))


def test_energies_are_fields() -> None:
    price = replace(
        TINY.energy, mac=2, register=3, hop=5, buffer=7, dram=11, weight_registers=13,
        weight_hops=17, output_registers=19, output_hops=23,
    )  # fmt: skip
    dear = replace(TINY, energy=price)
    assert simulate_layer(CASES["1x1"].layer, dear).energy == {
        "mac": 2 * 1200, "register": 3 * 13 * 1200, "hop": 5 * 17 * 1200, "buffer": 7 * 898,
        "dram": 11 * 398,
    }  # fmt: skip
    assert simulate_layer(CASES["3x3"].layer, dear).energy == pytest.approx(
        {"mac": 2 * 1728, "register": 3 * 19 * 1728, "hop": 5 * 23 * 1728, "buffer": 7 * 236,
         "dram": 11 * 272}
    )  # fmt: skip


@pytest.mark.parametrize(
    ("keeping", "words"),
    [
        ("weights", 1176 + 5 * 507),
        ("inputs", 507 + 2 * 1176),
        ("outputs", 1176 + 2 * 507),
        ("operands", 507 + 2 * 1176),
        ("any", 1176 + 2 * 507),
    ],
)
def test_what_stays_in_the_buffer(keeping: str, words: int) -> None:
    machine = replace(TINY, keeping=keeping)
    assert dram_words(CASES["first"].layer, machine) == words + 392


def test_choices_by_hand() -> None:
    """The other fields, on layers of above."""
    pointwise, square = CASES["1x1"].layer, CASES["3x3"].layer
    # 4x4 weights are loaded in 2 cycles, 4x2 in 1.
    assert weight_stationary(pointwise, replace(TINY, port=8)).cycles == 2 * 27 + 2 * 26
    hidden = replace(TINY, preload="hidden", drain="hidden")
    assert weight_stationary(pointwise, hidden).cycles == 4 * 25
    assert output_stationary(pointwise, hidden).cycles == 4 * 36
    assert output_stationary(pointwise, replace(TINY, preload="hidden")).cycles == 4 * 36 + 40 - 2
    # Blocks of 4x4 with a row of their neighbours: 25 + 15 + 15 + 9; without, 36 once.
    depthwise = CASES["depthwise"].layer
    assert output_stationary(depthwise, replace(TINY, halo=False)).buffer_inputs == 8 * 36
    # Sums of 3 output channels of 4: the inputs are loaded twice.
    again = output_stationary(square, replace(TINY, partial_sums=3))
    assert (again.buffer_inputs, again.cycles) == (128, 156)
    # Half a cycle a word, and no latency.
    fast = replace(TINY, bandwidth=16e9, latency=0, word_bytes=1, clock_hz=2e9)
    assert simulate_layer(square, fast).dram_cycles == 272 / 8
    forced = simulate_layer(square, replace(TINY, picking="weight"))
    assert (forced.dataflow, forced.cycles) == ("weight", 180)
