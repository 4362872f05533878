"""ShuffleNet V2's figures: Figure 1 from Table 8's records; Figure 4 by walking the channels."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from flyweight.cli.app import run as command
from flyweight.records import Record
from flyweight.studies import STUDIES, Setting, Study, run_study, settings_of, study_result
from flyweight.studies import running as running_module
from flyweight.studies.study import Series
from flyweight.studies.v2_figure4 import directly_connected, weights_between
from flyweight.zoo import create_model
from tests.data_dir import DATA, needs_data
from tests.studies.timed import run

TABLE_8, FIGURE_1 = STUDIES["table8"], STUDIES["figure1"]
EAGER = Setting("eager")


def records_of(study: Study, series: Series) -> list[Record]:
    """A made-up run of all of a series: the first case is the fastest."""
    labels = [case.label for case in series.cases if case.build is not None]
    madds = {label: 40_000_000 + 1000 * index for index, label in enumerate(labels)}
    timed = run({label: 5.0 + index for index, label in enumerate(labels)}, madds, name=series.name)
    return [
        replace(record, runner=f"{study.name} / {series.name} / {label}")
        for label, record in timed.items()
    ]


def test_figure1_is_drawn_from_table8() -> None:
    first, second = (records_of(TABLE_8, series) for series in TABLE_8.series[:2])
    records = [*first, *second]
    assert settings_of(FIGURE_1, records) == [EAGER]
    result = study_result(FIGURE_1, records, EAGER)
    assert [one.name for one in result.series] == ["40M", "140M"]
    table = result.series[0].table
    groups = {"ShuffleNet v2", "MobileNet v2", "ShuffleNet v1", "Xception"}
    assert set(table.column("group")) == groups
    assert table.column("here")[0] == pytest.approx(1 / first[0].median_s)
    assert result.series[0].verdicts[0].answer == "holds"
    assert len(result.charts) == 6
    # Without times the charts of them aren't there.
    assert len(study_result(replace(FIGURE_1, series=FIGURE_1.series[:1])).charts) == 4


def test_figure1_times_table8(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of its series, so that the study table8 finds it whole; and nothing that is there."""
    asked: list[tuple[str, str, int]] = []

    def timed(study: Study, series: Series, *_: object) -> tuple[Sequence[Record], bool]:
        asked.append((study.name, series.name, len(series.cases)))
        return records_of(study, series), True

    monkeypatch.setattr(running_module, "_timed", timed)
    result = run_study(FIGURE_1, "eager", series=FIGURE_1.series[:1])
    assert asked == [("table8", "40M", 8)]
    assert len(result.series[0].table.rows) == 5
    assert len(result.records) == 5
    every = records_of(TABLE_8, TABLE_8.series[0])
    run_study(TABLE_8, "eager", series=TABLE_8.series[:1], known=every)
    run_study(FIGURE_1, "eager", series=FIGURE_1.series[:1], known=every)
    assert len(asked) == 1


def test_what_table8_says() -> None:
    records = [record for series in TABLE_8.series for record in records_of(TABLE_8, series)]
    result = study_result(TABLE_8, records, EAGER)
    level = result.series[-1]
    answers = {verdict.claim: verdict.answer for verdict in level.verdicts}
    assert [claim.partition(" (paper")[0] for claim in answers] == [
        "ShuffleNet v2 is faster than MobileNet v2",
        "ShuffleNet v2 is faster than ShuffleNet v1",
        "ShuffleNet v2 is faster than Xception",
        "IGCV2 and IGCV3, with their many groups, are slower than ShuffleNet v2",
        "searched networks, with their many fragments, are slower than ShuffleNet v2",
        "MobileNet v1 is faster than all others, as on the paper's GPU",
        "is the order by FLOPs the order by time",
        "do networks of nearly equal FLOPs take nearly equally long",
    ]
    # Times rise with FLOPs, but far more than they; MobileNet v1 is the second row.
    assert list(answers.values()) == 5 * ["holds"] + ["does not hold", "holds", "does not hold"]
    # The text: 58 %, 63 % and 25 % faster on the GPU at 500 MFLOPs.
    claims = " ".join(answers)
    for times in ("1.58 times", "1.63 times", "1.25 times"):
        assert times in claims
    assert result.together is not None
    assert "over 40M, 140M, 300M, 500M" in result.together.claim
    assert study_result(TABLE_8, records_of(TABLE_8, TABLE_8.series[0]), EAGER).together is None


# Figure 4.


def sources(form: str, width: int, blocks: int) -> list[list[int]]:
    """Which block wrote what each block's convolutions read, with lists alone.

    "paper": even channels go through, odd ones are read, and what is written comes behind.
    "halved": the first half goes through, and both halves are interleaved behind the block.
    """
    state, read = [1] * width, []
    for block in range(2, blocks + 1):
        half = width // 2
        if form == "paper":
            kept, taken = state[0::2], state[1::2]
            state = kept + [block] * half
        else:
            kept, taken = state[:half], state[half:]
            state = [one for pair in zip(kept, [block] * half, strict=True) for one in pair]
        read.append(taken)
    return read


@pytest.mark.parametrize("form", ["paper", "halved"])
@pytest.mark.parametrize(("stage", "blocks", "width"), [("stage2", 4, 116), ("stage3", 8, 232)])
def test_channels_that_connect_blocks(form: str, stage: str, blocks: int, width: int) -> None:
    """r^(l-s) c of the text with r = 1/2, but for what can't be halved."""
    name = "shufflenet_v2_x1_0" + ("" if form == "paper" else "_halved")
    found = directly_connected(create_model(name), stage)
    assert set(found) == {(s, e) for s in range(1, blocks + 1) for e in range(s, blocks + 1)}
    for (start, end), count in found.items():
        exact = width / 2 ** (end - start)
        assert count == exact if exact == int(exact) else abs(count - exact) < 1


@pytest.mark.parametrize("form", ["paper", "halved"])
def test_which_block_reads_which(form: str) -> None:
    name = "shufflenet_v2_x0_5" + ("" if form == "paper" else "_halved")
    network = create_model(name)
    found = weights_between(network, "stage3")
    for block, read in enumerate(sources(form, 96, 8), start=2):
        channels = {s: one.channels for (s, end), one in found.items() if end == block}
        assert channels == {source: read.count(source) for source in set(read)}
        # Half of what is read comes from the block right before, but for the first.
        assert channels[block - 1] == (48 if block == 2 else 24)


def test_weights_between_blocks_of_shufflenet() -> None:
    """A weight's value is the block whose channel it reads: a mean is the block's number."""
    network = create_model("shufflenet_v2_x0_5")
    stage = network.get_submodule("stages.stage3")
    for block, read in enumerate(sources("paper", 96, 8), start=2):
        weight = stage.get_submodule(f"{block - 1}.main.0.conv").weight
        with torch.no_grad():
            sign = torch.tensor([1.0, -1.0]).repeat(24).reshape(48, 1, 1, 1)
            weight.copy_(sign * torch.tensor(read, dtype=torch.float32).reshape(1, 48, 1, 1))
    for (source, _), one in weights_between(network, "stage3").items():
        assert one.mean == source
        assert one.norm == source * one.channels * 48


def test_weights_between_layers_of_densenet() -> None:
    network = create_model("densenet_light_x0_5")
    layers = [m for m in network.stages["stage2"].children() if hasattr(m, "reduce")]
    assert len(layers) == 4
    for index, layer in enumerate(layers):
        weight = layer.get_submodule("reduce.conv").weight
        with torch.no_grad():
            weight[:, :20] = -1  # the stem's
            for earlier in range(index):
                weight[:, 20 + 10 * earlier : 30 + 10 * earlier] = earlier + 2
    found = weights_between(network, "stage2")
    assert set(found) == {(s, end) for end in range(2, 6) for s in range(1, end)}
    for (source, _), one in found.items():
        assert (one.channels, one.mean) == (20 if source == 1 else 10, source)


def test_the_network_is_not_changed() -> None:
    network = create_model("shufflenet_v2_x0_5").train()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    weights_between(network, "stage2")
    assert network.training
    assert list(network.state_dict()) == list(before)
    assert all(torch.equal(network.state_dict()[key], value) for key, value in before.items())


BACKBONE = DATA / "weights" / "shufflenetv2_x05_backbone_fastestdet.safetensors"


@needs_data
def test_real_weights(capsys: pytest.CaptureFixture[str]) -> None:
    args = ["study", "figure4", "--weights", str(BACKBONE), "--model", "shufflenet_v2_x0_5"]
    assert command(args) == 0
    printed = capsys.readouterr().out
    for stage in ("stage2", "stage3", "stage4"):
        assert f"weights, {stage}, {BACKBONE.name}" in printed
    other = BACKBONE.with_name("squeezenet1_1_caffe_fp16.safetensors")
    assert command([*args[:3], str(other), "--model", "squeezenet_1_1"]) == 2
    assert "ShuffleNet V2 and DenseNet" in capsys.readouterr().err


@pytest.mark.slow
def test_a_file_without_the_blocks(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    from safetensors.torch import save_file

    network = create_model("shufflenet_v2_x0_5")
    file = tmp_path / "part.safetensors"
    kept = {k: v for k, v in network.state_dict().items() if not k.startswith("stages.stage4.3")}
    save_file(kept, file)
    args = ["study", "figure4", "--weights", str(file), "--model", "shufflenet_v2_x0_5"]
    assert command(args) == 1
    assert "nothing for stages.stage4.3" in capsys.readouterr().err


def test_figure4_of_the_paper(capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["study", "figure4"]) == 0
    printed = capsys.readouterr().out
    assert "engine" not in printed  # nothing is timed
    result = study_result(STUDIES["figure4"])
    assert [chart.kind for chart in result.charts] == ["heat"]
    shares = dict(zip(result.computed[0].column("s-l"), result.computed[0].column("share"),
                      strict=True))  # fmt: skip
    assert (shares["1-1"], shares["1-2"], shares["5-7"]) == (1, 0.5, 0.25)
