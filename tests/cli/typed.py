"""What people type, done in this process."""

from pathlib import Path

import pytest

from flyweight.cli.app import run

NAME = "shufflenet_v2_x0_5"
SMALL = ("--input", "32", "--option", "stem_stride=2", "--option", "repeats=(1, 1, 1)")
"""NAME made small."""
STEPS = (
    *("--batch", "16", "--steps", "4"),
    *("--threads", "1", "--workers", "1", "--device", "cpu"),
)
A_FEW_STEPS = (*SMALL, *STEPS)
"""Of training NAME, made small."""


def said(capsys: pytest.CaptureFixture[str], *args: str | Path, code: int = 0) -> str:
    """What a command prints, or what it says where it is to fail with a code."""
    capsys.readouterr()
    assert run(list(map(str, args))) == code, capsys.readouterr().err
    captured = capsys.readouterr()
    return captured.out if code == 0 else captured.err
