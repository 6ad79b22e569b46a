"""Bahdanau, Cho and Bengio's network is the equations of their appendix A."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from seqloom.attention import AdditiveAttention
from seqloom.decoders import RNNDecoder
from seqloom.encoders import RNNEncoder
from seqloom.layers.embedding import Embedding
from seqloom.layers.recurrent import GRUCell
from seqloom.models import EncoderDecoder
from seqloom.models.base import VocabularySizes
from seqloom.models.encoder_decoder import EmbeddingOptions
from seqloom.structures import Batch, Sequences

Array = NDArray[np.float64]
GRU = partial(GRUCell, reset="before")
SYMBOLS, EMBEDDED, SIZE, HIDDEN, MAXOUT = 9, 3, 4, 5, 6


def array(parameter: Any) -> Array:
    return parameter.detach().numpy()  # type: ignore[no-any-return]


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def gru(cell: GRUCell, x: Array, h: Array, c: Array | float = 0.0) -> Array:
    """A.1.1 and A.1.2, where c is C c of each gate; their update gate lets new in, this one keeps what is old."""
    W, U, b = (np.split(array(p), 3) for p in (cell.input.weight, cell.recurrent.weight, cell.input.bias))
    C = np.split(np.broadcast_to(c, (3 * SIZE,)), 3)
    r, z = (sigmoid(W[i] @ x + U[i] @ h + C[i] + b[i]) for i in (0, 1))
    candidate = np.tanh(W[2] @ x + U[2] @ (r * h) + C[2] + b[2])
    return z * h + (1 - z) * candidate  # type: ignore[no-any-return]


def read(cell: GRUCell, xs: Array) -> Array:
    h, seen = np.zeros(SIZE), []
    for x in xs:
        h = gru(cell, x, h)
        seen.append(h)
    return np.array(seen)


@pytest.mark.parametrize("state", ["before", "after"])
def test_the_network_is_the_papers_equations(state: Any) -> None:
    model = EncoderDecoder(
        VocabularySizes(SYMBOLS, SYMBOLS, joint=False),
        embedding=EmbeddingOptions(size=EMBEDDED),
        encoder=partial(RNNEncoder, cell=GRU, size=SIZE, summary="backward"),
        decoder=partial(
            RNNDecoder,
            cell=GRU,
            size=SIZE,
            attention=partial(AdditiveAttention, size=HIDDEN),
            readout_size=MAXOUT,
            readout_state=state,
        ),
    )
    torch.manual_seed(1)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    model.double().eval()
    source, target = torch.tensor([[5, 3, 8, 2, 1]]), torch.tensor([[0, 4, 6, 1]])
    real = [torch.ones_like(ids, dtype=torch.bool) for ids in (source, target)]
    batch = Batch(Sequences(source, real[0]), Sequences(target, real[1]))
    logits = array(model.decoder.project(model(batch).features))[0]

    encoder, decoder = model.encoder, model.decoder
    forwards, backwards = (stack.cells[0] for stack in encoder.levels[0])
    xs = array(encoder.embedding.table.weight)[source[0].numpy()]
    back = read(backwards, xs[::-1])[::-1]
    h = np.concatenate([read(forwards, xs), back], 1)  # A.2.1, the annotations
    s = np.tanh(array(decoder.first_state.weight) @ back[0] + array(decoder.first_state.bias))  # A.2.2
    attention = decoder.attention
    for place, token in enumerate(target[0, :-1].tolist()):
        y = array(decoder.embedding.table.weight)[token]
        asked = array(attention.query.weight) @ s + array(attention.query.bias)
        e = np.tanh(asked + h @ array(attention.key.weight).T) @ array(attention.score.weight)[0]
        c = np.exp(e) / np.exp(e).sum() @ h
        before, s = s, gru(decoder.cells[0], y, s, array(decoder.context.weight) @ c)
        known = np.concatenate([before if state == "before" else s, y, c])
        pairs = array(decoder.features.weight) @ known + array(decoder.features.bias)
        t = pairs.reshape(MAXOUT, 2).max(1)
        wanted = array(decoder.readout.weight) @ t + array(decoder.readout.bias)
        np.testing.assert_allclose(logits[place], wanted, rtol=1e-9, atol=1e-9)


def test_backward_needs_a_backward_direction() -> None:
    with pytest.raises(ValueError) as said:
        RNNEncoder(Embedding(7, 3), summary="backward", bidirectional=False)
    assert str(said.value) == "summary: backward needs an encoder that reads backwards too: bidirectional: true"
