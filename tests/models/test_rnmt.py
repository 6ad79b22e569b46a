"""RNMT+ is its layers one by one, step by step, and goes together with other architectures."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from seqloom.attention import Additive, GeneralAttention
from seqloom.config.root import read_config
from seqloom.decoders import RNMTDecoder
from seqloom.encoders import RNMTEncoder
from seqloom.layers.embedding import Embedding
from seqloom.layers.recurrent import Cell, LSTMCell
from seqloom.runs import load, train
from seqloom.structures import Encoded, Sequences, Widths

ATTENTION = partial(GeneralAttention, compatibility=partial(Additive, size=6), heads=2)


def randomized(module: Any) -> Any:
    torch.manual_seed(1)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return module.double().eval()


def stepwise(cell: Cell, inputs: Tensor) -> Tensor:
    """The outputs of a cell that starts from nothing and reads [T, D]."""
    state, outputs = (torch.zeros(1, cell.size, dtype=inputs.dtype),) * cell.values, []
    for x in inputs:
        state = cell(cell.project(x[None]), state)
        outputs.append(state[0][0])
    return torch.stack(outputs)


def test_the_encoder_is_its_layers_one_by_one() -> None:
    encoder = randomized(RNMTEncoder(Embedding(9, 3), size=4, layers=4, cell=LSTMCell))
    ids = torch.tensor([[5, 3, 8, 2, 1], [4, 1, 7, 7, 7]])
    encoded = encoder(Sequences(ids, torch.arange(5)[None] < torch.tensor([[5], [2]])))
    for row, length in enumerate((5, 2)):
        x = encoder.embedding(ids[row, :length])
        for depth, layer in enumerate(encoder.layers):
            there = stepwise(layer.forwards, x)
            back = stepwise(layer.backwards, x.flip(0)).flip(0)
            both = torch.cat([there, back], 1)
            x = both if depth < 2 else x + both
        assert_close(encoded.keys[row, :length], x @ encoder.projection.weight.T + encoder.projection.bias)
        assert_close(encoded.summary[row], torch.cat([there[-1], back[0]]))


def test_the_decoder_is_its_layers_step_by_step() -> None:
    """Chen et al. 2018, figure 1: each step goes through all layers before the next step begins."""
    decoder = randomized(RNMTDecoder(Embedding(9, 3), Widths(6, 6, 6), attention=ATTENTION, size=4, layers=4))
    said = torch.randn(2, 5, 6, dtype=torch.float64)
    source = Encoded(said, said, torch.arange(5)[None] < torch.tensor([[5], [3]]), said[:, 0])
    tokens = torch.tensor([[3, 1, 4], [2, 7, 1]])
    output, _ = decoder(tokens, decoder.start(source))

    memory, context = decoder.attention.memory(source), torch.zeros(2, 6, dtype=torch.float64)
    states, x = [(torch.zeros(2, 4, dtype=torch.float64),) * 2] * 4, torch.empty(0)
    for place in range(3):
        for depth, cell in enumerate(decoder.cells):
            if depth == 0:
                projected = cell.project(decoder.embedding(tokens[:, place])) + context @ decoder.context.weight.T
            else:
                projected = cell.project(torch.cat([x, context], 1))
            states[depth] = cell(projected, states[depth])
            if depth == 0:
                context = decoder.attention(states[0][0][:, None], memory).context[:, 0]
            x = states[depth][0] + (x if depth >= 2 else 0)
        assert_close(output.features[:, place], torch.cat([x, context], 1))


def test_both_start_within_their_bounds() -> None:
    encoder = RNMTEncoder(Embedding(9, 3), size=40, layers=3, uniform=0.04)
    decoder = RNMTDecoder(Embedding(9, 3), encoder.widths, attention=ATTENTION, size=40, layers=3, uniform=0.04)
    bounded = [*encoder.layers.named_parameters(), *encoder.projection.named_parameters()]
    bounded += [*decoder.cells.named_parameters(), *decoder.context.named_parameters()]
    for name, parameter in bounded:
        if "weight" in name:
            assert 0.039 < parameter.abs().max() <= 0.04, name


TRANSFORMER = "{class: TransformerEncoder, layers: 1, heads: 2, feedforward: 16}"
HYBRIDS = {
    "transformer-rnmt": (TRANSFORMER, "{class: RNMTDecoder, size: 8, layers: 3}"),
    "rnmt-transformer": (
        "{class: RNMTEncoder, size: 16, layers: 3}",
        "{class: TransformerDecoder, layers: 1, heads: 2, feedforward: 16}",
    ),
    "rnmt": ("{class: RNMTEncoder, size: 8, layers: 3}", "{class: RNMTDecoder, size: 8, layers: 3, readout_size: 16}"),
}


@pytest.mark.parametrize("hybrid", HYBRIDS)
def test_hybrids_are_built_from_a_file_and_learn_and_translate(toy: Path, tmp_path: Path, hybrid: str) -> None:
    encoder, decoder = HYBRIDS[hybrid]
    changes = [f"model.encoder={encoder}", f"model.decoder={decoder}", "train.steps=2", "train.validate_every=2"]
    assert train(read_config(toy / "toy.yml", changes), tmp_path / "run").step == 2
    translator = load(tmp_path / "run")
    (translation,) = translator.translate(["a b c"], attention=True)
    assert translation.alternatives[0].attention is not None
