"""What holds for every layer and every array, and a slow count of the same things one by one."""

import itertools
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flyweight.accelerator import (
    Accelerator,
    Layer,
    dram_words,
    output_stationary,
    simulate_layer,
    weight_stationary,
)


@st.composite
def layers(draw: st.DrawFn) -> Layer:
    """A convolution with any stride, padding, dilation and groups."""
    groups = draw(st.integers(1, 4))
    axes = []
    for _ in range(2):
        kernel, stride, dilation = (draw(st.integers(1, most)) for most in (4, 3, 2))
        padding = draw(st.integers(0, kernel // 2))
        least = max(dilation * (kernel - 1) + 1 - 2 * padding, 1)
        size = draw(st.integers(least, 14))
        out = (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
        axes.append((size, out, kernel, stride, padding, dilation))
    sizes, outs, kernels, strides, paddings, dilations = zip(*axes, strict=True)
    return Layer(
        "", groups * draw(st.integers(1, 7)), groups * draw(st.integers(1, 7)), sizes, outs,
        kernels, strides, paddings, dilations, groups, draw(st.integers(1, 2)),
    )  # fmt: skip


machines = st.builds(
    Accelerator,
    array=st.integers(1, 6),
    buffer_bytes=st.integers(8, 4096),
    bandwidth=st.sampled_from([1e9, 4e9, 16e9]),
    latency=st.integers(0, 50),
    sparsity=st.sampled_from([0.0, 0.25, 0.4, 0.9]),
    port=st.none() | st.integers(1, 9),
    partial_sums=st.none() | st.integers(1, 9),
    preload=st.sampled_from(["exposed", "hidden"]),
    drain=st.sampled_from(["exposed", "hidden"]),
    kept_share=st.sampled_from([0.25, 0.5, 1.0]),
    keeping=st.sampled_from(["any", "operands", "weights", "inputs", "outputs"]),
    halo=st.booleans(),
    picking=st.sampled_from(["fastest", "weight", "output"]),
)


def counted(layer: Layer, machine: Accelerator) -> tuple[float, float, float, int, int, int]:
    """Both dataflows done one step after another, everything exposed.

    Returns:
        Cycles weight-stationary, its words of inputs and of partial sums; cycles
        output-stationary, its words of inputs, and its blocks.
    """
    side, port = machine.array, machine.port or machine.array
    high, wide = layer.out_size
    weight_cycles = weight_inputs = sums = 0
    output_cycles, output_inputs, blocks = 0.0, 0, 0
    written: set[tuple[int, ...]] = set()
    pixels = list(itertools.product(range(layer.images), range(high), range(wide)))
    for group in range(layer.groups):
        for _ in range(layer.taps):
            for first_in in range(0, layer.group_inputs, side):
                for first_out in range(0, layer.group_outputs, side):
                    ins = range(first_in, min(first_in + side, layer.group_inputs))
                    outs = range(first_out, min(first_out + side, layer.group_outputs))
                    weight_cycles += math.ceil(len(ins) * len(outs) / port) + len(pixels)
                    weight_inputs += len(ins) * len(pixels)
                    for out, pixel in itertools.product(outs, pixels):
                        key = (group, out, *pixel)
                        sums += 2 if key in written else 1
                        written.add(key)
        for _, top, left in itertools.product(
            range(layer.images), range(0, high, side), range(0, wide, side)
        ):
            rows, columns = (
                range(start, min(start + side, end)) for start, end in ((top, high), (left, wide))
            )
            read = set()
            for y, x in itertools.product(rows, columns):
                for i, j in itertools.product(range(layer.kernel[0]), range(layer.kernel[1])):
                    v = y * layer.stride[0] + i * layer.dilation[0] - layer.padding[0]
                    u = x * layer.stride[1] + j * layer.dilation[1] - layer.padding[1]
                    if 0 <= v < layer.in_size[0] and 0 <= u < layer.in_size[1]:
                        read.add((v, u))
            parts = math.ceil(layer.group_outputs / (machine.partial_sums or layer.group_outputs))
            words = parts * len(read) * layer.group_inputs
            leaving = layer.group_outputs * len(rows) * len(columns)
            weights = layer.group_inputs * layer.group_outputs * layer.taps
            output_cycles += weights * (1 - machine.sparsity)
            output_cycles += math.ceil(words / port) + math.ceil(leaving / port)
            output_inputs += words
            blocks += 1
    return weight_cycles, weight_inputs, sums, output_cycles, output_inputs, blocks


@given(layers(), machines)
def test_as_counted_one_by_one(layer: Layer, machine: Accelerator) -> None:
    machine = replace(machine, preload="exposed", drain="exposed", halo=True)
    weight, output = weight_stationary(layer, machine), output_stationary(layer, machine)
    found = (weight.cycles, weight.buffer_inputs, weight.buffer_outputs, output.cycles,
             output.buffer_inputs)  # fmt: skip
    *expected, blocks = counted(layer, machine)
    assert found == pytest.approx(tuple(expected))
    per_group = layer.weights / layer.groups * (1 - machine.sparsity)
    assert output.buffer_weights == pytest.approx(per_group * blocks)


@given(layers(), machines)
def test_bounds(layer: Layer, machine: Accelerator) -> None:
    """No more work than elements, no fewer accesses than tensors, no time below the DRAM's."""
    result = simulate_layer(layer, machine)
    for work in (weight_stationary(layer, machine), output_stationary(layer, machine)):
        assert work.cycles * machine.elements >= work.madds * (1 - 1e-9)
        assert -1e-9 <= work.waiting <= work.cycles
        assert work.buffer_outputs >= layer.outputs
    assert weight_stationary(layer, machine).buffer_weights == layer.weights
    assert 0 < result.utilisation <= 1 + 1e-9
    assert result.dram_words >= layer.weights + layer.inputs + layer.outputs
    assert result.cycles >= result.dram_words * machine.word_bytes / (machine.bandwidth / 1e9)
    assert result.cycles == max(result.work.cycles, result.dram_cycles)
    assert result.total_energy >= result.energy["dram"] >= 200 * layer.outputs
    if layer.stride == layer.dilation == (1, 1):  # nothing of the input is skipped
        work = output_stationary(layer, replace(machine, halo=False))
        assert work.buffer_inputs >= layer.inputs


@given(layers(), machines, st.floats(1, 10))
def test_more_is_never_slower(layer: Layer, machine: Accelerator, factor: float) -> None:
    before = simulate_layer(layer, machine)
    wider = replace(machine, bandwidth=machine.bandwidth * factor)
    assert simulate_layer(layer, wider).cycles <= before.cycles
    larger = replace(machine, buffer_bytes=int(machine.buffer_bytes * factor))
    assert dram_words(layer, larger) <= before.dram_words
    assert simulate_layer(layer, larger).cycles <= before.cycles
    sparser = replace(machine, sparsity=1 - (1 - machine.sparsity) / factor)
    assert simulate_layer(layer, sparser).cycles <= before.cycles * (1 + 1e-9)
    ports = math.ceil(machine.words_a_cycle * factor)
    assert simulate_layer(layer, replace(machine, port=ports)).cycles <= before.cycles
    hidden = replace(machine, preload="hidden", drain="hidden")
    assert simulate_layer(layer, hidden).cycles <= before.cycles
    assert simulate_layer(layer, replace(machine, latency=0)).cycles <= before.cycles
    assert simulate_layer(layer, replace(machine, halo=False)).cycles <= before.cycles
    everything = replace(machine, partial_sums=None)
    assert simulate_layer(layer, everything).cycles <= before.cycles


@given(layers(), machines)
def test_the_fastest_is_picked(layer: Layer, machine: Accelerator) -> None:
    fastest, *fixed = (
        simulate_layer(layer, replace(machine, picking=picking))
        for picking in ("fastest", "weight", "output")
    )
    assert fastest.cycles == min(one.cycles for one in fixed)
    assert fastest in fixed
    assert fastest.other_cycles in [one.work.cycles for one in fixed]


@given(layers(), machines)
def test_without_sparsity_all_is_done(layer: Layer, machine: Accelerator) -> None:
    dense = output_stationary(layer, replace(machine, sparsity=0.0))
    assert dense.madds == layer.madds == weight_stationary(layer, machine).madds
    exposed = replace(machine, sparsity=0.0, preload="exposed", drain="exposed", halo=True)
    *_, cycles, _, blocks = counted(layer, exposed)
    plain = output_stationary(layer, exposed)
    assert plain.cycles == cycles == int(cycles)
    assert plain.buffer_weights == layer.weights // layer.groups * blocks


@given(layers(), machines)
def test_a_buffer_that_holds_a_tensor_moves_each_once(layer: Layer, machine: Accelerator) -> None:
    least = min(layer.weights, layer.inputs, layer.outputs) // layer.groups
    size = math.ceil(least * machine.word_bytes / machine.kept_share) + machine.word_bytes
    holds = replace(machine, buffer_bytes=max(size, machine.buffer_bytes), keeping="any")
    assert dram_words(layer, holds) == layer.weights + layer.inputs + layer.outputs
