"""Channel shuffle against the papers' definition, written out."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from flyweight.nn import channel_shuffle


@given(groups=st.integers(1, 8), each=st.integers(1, 9), batch=st.integers(1, 3))
def test_shuffle_is_reshape_transpose_flatten(groups: int, each: int, batch: int) -> None:
    channels = groups * each
    x = np.arange(batch * channels * 6, dtype=np.float32).reshape(batch, channels, 2, 3)
    expected = np.empty_like(x)
    for group in range(groups):
        for i in range(each):
            expected[:, i * groups + group] = x[:, group * each + i]
    np.testing.assert_array_equal(channel_shuffle(torch.from_numpy(x), groups).numpy(), expected)


@given(groups=st.integers(1, 8), each=st.integers(1, 9))
def test_shuffling_back(groups: int, each: int) -> None:
    x = torch.randn(1, groups * each, 1, 1)
    assert torch.equal(channel_shuffle(channel_shuffle(x, groups), each), x)


def test_shuffle_agrees_with_torch() -> None:
    x = torch.randn(2, 12, 3, 3)
    assert torch.equal(channel_shuffle(x, 3), torch.nn.functional.channel_shuffle(x, 3))


def test_indivisible_channels() -> None:
    with pytest.raises(ValueError, match="10 channels don't divide into 3 groups"):
        channel_shuffle(torch.randn(1, 10, 2, 2), 3)
