"""Bridges say what a decoder starts from."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from seqloom.layers.bridges import DenseBridge, PassThroughBridge, ZeroBridge
from seqloom.structures import Encoded, Widths

WIDTHS = Widths(keys=4, values=5, summary=6)
MASK = torch.tensor([[True, True, False], [True, True, True]])
KEYS, VALUES, SUMMARY = torch.randn(2, 3, 4), torch.randn(2, 3, 5), torch.randn(2, 6)
SOURCE = Encoded(KEYS, VALUES, MASK, SUMMARY)


def test_zero_is_nothing() -> None:
    assert torch.equal(ZeroBridge(WIDTHS, 7)(SOURCE), torch.zeros(2, 7))


def test_passing_through_changes_nothing() -> None:
    assert torch.equal(PassThroughBridge(WIDTHS, 6)(SOURCE), SUMMARY)


def test_states_of_another_width_can_not_pass() -> None:
    with pytest.raises(ValueError) as said:
        PassThroughBridge(WIDTHS, 7)
    assert str(said.value) == (
        "the encoder's last state is 6 wide and the decoder's first 7, so one can't become the other as it is; "
        "use DenseBridge, or as many layers of as many cells"
    )


@pytest.mark.parametrize(
    ("of", "x"),
    [
        ("summary", SUMMARY),
        ("keys", torch.stack([KEYS[0, :2].mean(0), KEYS[1].mean(0)])),
        ("values", torch.stack([VALUES[0, :2].mean(0), VALUES[1].mean(0)])),
    ],
)
@pytest.mark.parametrize("activation", ["identity", "tanh", "relu", "sigmoid"])
def test_dense_is_one_layer_of_what_it_is_made_of(of: str, x: torch.Tensor, activation: str) -> None:
    bridge = DenseBridge(WIDTHS, 7, of=of, activation=activation)  # type: ignore[arg-type]
    linear = x @ bridge.linear.weight.T + bridge.linear.bias
    wanted = {"identity": linear, "tanh": linear.tanh(), "relu": linear.relu(), "sigmoid": linear.sigmoid()}
    assert_close(bridge(SOURCE), wanted[activation])
