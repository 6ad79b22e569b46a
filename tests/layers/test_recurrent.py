"""Cells are PyTorch's, and a layer that reads from the end is one that reads the sentence turned round."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from seqloom.layers.recurrent import GRUCell, LSTMCell, RecurrentLayer, reverse
from seqloom.structures import Sequences

LENGTHS = torch.tensor([4, 1, 5])
SENTENCES = Sequences(torch.zeros(3, 5, dtype=torch.int64), torch.arange(5)[None] < LENGTHS[:, None])
IN, SIZE = 3, 4


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def gates(x: Tensor, order: list[int]) -> Tensor:
    """The rows of each gate, in another order."""
    parts = x.detach().chunk(len(order))
    return torch.cat([parts[i] for i in order])


def test_the_gru_is_that_of_pytorch() -> None:
    """Gates there: reset, update, candidate, as here."""
    ours, theirs = GRUCell(IN, SIZE).double(), nn.GRUCell(IN, SIZE, dtype=torch.float64)
    nn.init.normal_(ours.input.bias)
    theirs.weight_ih.data, theirs.weight_hh.data = ours.input.weight.detach(), ours.recurrent.weight.detach()
    theirs.bias_ih.data = ours.input.bias.detach()
    nn.init.zeros_(theirs.bias_hh)
    x, h = random(6, IN), random(6, SIZE, seed=1)
    (after,) = ours(ours.project(x), (h,))
    assert_close(after, theirs(x, h))


def test_the_lstm_is_that_of_pytorch() -> None:
    """Gates here: output, input, forget, candidate; there: input, forget, candidate, output."""
    ours, theirs = LSTMCell(IN, SIZE).double(), nn.LSTMCell(IN, SIZE, dtype=torch.float64)
    nn.init.normal_(ours.input.bias)
    order = [1, 2, 3, 0]
    theirs.weight_ih.data, theirs.weight_hh.data = (gates(x.weight, order) for x in (ours.input, ours.recurrent))
    theirs.bias_ih.data = gates(ours.input.bias, order)
    nn.init.zeros_(theirs.bias_hh)
    x, h, c = random(6, IN), random(6, SIZE, seed=1), random(6, SIZE, seed=2)
    got, wanted = ours(ours.project(x), (h, c)), theirs(x, (h, c))
    assert_close(got[0], wanted[0])
    assert_close(got[1], wanted[1])


def test_an_lstm_begins_by_remembering() -> None:
    bias = LSTMCell(IN, SIZE).input.bias.unflatten(0, (4, SIZE))
    assert bias.sum(1).tolist() == [0, 0, SIZE, 0]
    cell = LSTMCell(IN, SIZE)
    nn.init.zeros_(cell.input.weight)
    nn.init.zeros_(cell.recurrent.weight)
    _, c = cell(cell.project(torch.zeros(1, IN)), (torch.zeros(1, SIZE), torch.ones(1, SIZE)))
    assert_close(c, torch.full((1, SIZE), torch.tensor(1.0).sigmoid().item()))


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_a_layer_is_pytorchs_over_packed_sentences(cell: str) -> None:
    """Outputs at real positions and the last output, for both directions."""
    forwards, backwards = (RecurrentLayer(IN, SIZE, cell=cell, backward=b).double() for b in (False, True))  # type: ignore[arg-type]
    theirs = {"gru": nn.GRU, "lstm": nn.LSTM}[cell](IN, SIZE, batch_first=True, bidirectional=True, dtype=torch.float64)
    order = {"gru": [0, 1, 2], "lstm": [1, 2, 3, 0]}[cell]
    for layer, suffix in ((forwards, ""), (backwards, "_reverse")):
        getattr(theirs, f"weight_ih_l0{suffix}").data = gates(layer.cell.input.weight, order)
        getattr(theirs, f"weight_hh_l0{suffix}").data = gates(layer.cell.recurrent.weight, order)
        getattr(theirs, f"bias_ih_l0{suffix}").data = gates(layer.cell.input.bias, order)
        nn.init.zeros_(getattr(theirs, f"bias_hh_l0{suffix}"))
    x = random(3, 5, IN)
    packed = nn.utils.rnn.pack_padded_sequence(x, LENGTHS, batch_first=True, enforce_sorted=False)
    packed_outputs, last = theirs(packed)
    wanted, _ = nn.utils.rnn.pad_packed_sequence(packed_outputs, batch_first=True)
    for direction, layer in enumerate((forwards, backwards)):
        outputs, final = layer(x, SENTENCES)
        assert_close(outputs[SENTENCES.mask], wanted[..., direction * SIZE : (direction + 1) * SIZE][SENTENCES.mask])
        assert_close(final, (last[0] if cell == "lstm" else last)[direction])


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_backwards_is_forwards_over_the_sentence_turned_round(cell: str) -> None:
    layer = RecurrentLayer(IN, SIZE, cell=cell, backward=True).double()  # type: ignore[arg-type]
    x = random(3, 5, IN)
    outputs, final = layer(x, SENTENCES)
    layer.backward = False
    turned, same = layer(reverse(x, LENGTHS), SENTENCES)
    assert_close(reverse(turned, LENGTHS)[SENTENCES.mask], outputs[SENTENCES.mask])
    assert_close(same, final)


def test_turning_round_twice_is_doing_nothing() -> None:
    x = random(3, 5, IN)
    assert torch.equal(reverse(reverse(x, LENGTHS), LENGTHS), x)


def test_only_what_is_real_is_turned_round() -> None:
    x = random(3, 5, IN)
    turned = reverse(x, LENGTHS)
    for row, length in enumerate(LENGTHS.tolist()):
        assert torch.equal(turned[row, :length], x[row, :length].flip(0))
        assert torch.equal(turned[row, length:], x[row, length:])
