"""ConvS2S as a whole: against loops, as large as the published networks, and saved and loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.testing import assert_close

from seqloom.config.root import read_config
from seqloom.decoders import ConvS2SDecoder
from seqloom.encoders import ConvS2SEncoder
from seqloom.errors import UsageError
from seqloom.layers.embedding import Embedding
from seqloom.registry import ConfigError
from seqloom.runs import load, train
from seqloom.search import SearchOptions, beam_search
from seqloom.structures import Encoded, Sequences, Widths
from seqloom.train.weights import live_tensors, load_model, model_tensors

Array = NDArray[np.float64]
SMALL = ((256, 3, 4),), ((256, 3, 3),)  # fconv_iwslt_de_en
LARGE = (((512, 3, 9), (1024, 3, 4), (2048, 1, 2)),) * 2  # fconv_wmt_en_de
HALF = np.sqrt(0.5)


def drawn(module: nn.Module) -> Any:
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    return module.double().eval()


def applied(linear: Any, x: Array) -> Array:
    """A linear layer, or none."""
    if isinstance(linear, nn.Identity):
        return x
    return x @ linear.weight.detach().numpy().T + linear.bias.detach().numpy()  # type: ignore[no-any-return]


def convolved(layer: Any, x: Array, before: int, after: int) -> Array:
    wide = np.pad(x, ((before, after), (0, 0)))
    rows = [wide[place : place + before + 1 + after].reshape(-1) for place in range(len(x))]
    features, gates = np.split(applied(layer.convolution.linear, np.array(rows)), 2, axis=1)
    return features / (1 + np.exp(-gates))  # type: ignore[no-any-return]


def placed(part: Any, ids: Tensor) -> Array:
    table, positions = part.embedding.table.weight, part.positions.table.weight
    return (table[ids] + positions[: len(ids)]).detach().numpy()  # type: ignore[no-any-return]


def encoded(encoder: ConvS2SEncoder, ids: Tensor) -> tuple[Array, Array]:
    """Keys and values of one sentence; Gehring et al., 3.2 and 3.3."""
    e = placed(encoder, ids)
    x = applied(encoder.enter, e)
    for layer in encoder.layers:
        k = layer.convolution.kernel  # type: ignore[union-attr]
        x = (convolved(layer, x, (k - 1) // 2, k // 2) + applied(layer.around, x)) * HALF  # type: ignore[union-attr]
    z = applied(encoder.leave, x)
    return z, (z + e) * HALF


def decoded(decoder: ConvS2SDecoder, ids: Tensor, keys: Array, values: Array) -> tuple[Array, Array]:
    """Features [T, D] and weights [L, T, S] of one target."""
    g, shares = placed(decoder, ids), []
    x = applied(decoder.enter, g)
    for layer in decoder.layers:
        h = convolved(layer, x, layer.convolution.kernel - 1, 0)  # type: ignore[union-attr]
        scores = np.exp((applied(layer.query, h) + g) * HALF @ keys.T)  # type: ignore[union-attr]
        weights = scores / scores.sum(1, keepdims=True)
        c = weights @ values * (len(keys) * np.sqrt(1 / len(keys)))
        h = (applied(layer.context, c) + h) * HALF  # type: ignore[union-attr]
        x = (h + applied(layer.around, x)) * HALF  # type: ignore[union-attr]
        shares.append(weights)
    return applied(decoder.leave, x), np.array(shares)


def test_it_is_what_the_equations_say() -> None:
    torch.manual_seed(1)
    encoder = drawn(ConvS2SEncoder(Embedding(9, 6), layers=((4, 3, 2), (5, 2, 1)), dropout=0.2, attention_layers=3))
    decoder = drawn(ConvS2SDecoder(Embedding(8, 6), encoder.widths, layers=((5, 2, 1), (4, 3, 2)), output_size=3))
    lengths, S, T = [5, 1, 3], 6, 4
    source, target = torch.randint(3, 9, (3, S)), torch.randint(0, 8, (3, T))
    made = encoder(Sequences(source, torch.arange(S)[None] < torch.tensor(lengths)[:, None]))
    output, _ = decoder(target, decoder.start(made), weights=True)
    assert output.attention.shape == (3, 3, 1, T, S)
    for row, length in enumerate(lengths):
        keys, values = encoded(encoder, source[row, :length])
        features, weights = decoded(decoder, target[row], keys, values)
        close = {"rtol": 1e-6, "atol": 1e-6}
        assert_close(made.keys[row, :length], torch.from_numpy(keys), **close)
        assert_close(made.values[row, :length], torch.from_numpy(values), **close)
        assert_close(output.features[row], torch.from_numpy(features), **close)
        assert_close(output.attention[row, :, 0, :, :length], torch.from_numpy(weights), **close)


def test_the_gradient_of_all_but_the_embeddings_in_the_values_is_divided() -> None:
    gradients = []
    for attention_layers in (0, 3):
        torch.manual_seed(1)
        encoder = drawn(ConvS2SEncoder(Embedding(9, 6), layers=((4, 3, 2),), attention_layers=attention_layers))
        for way in ("keys", "values"):
            encoder.zero_grad()
            ids = torch.tensor([[3, 4, 5]])
            (getattr(encoder(Sequences(ids, ids > 0)), way) ** 2).sum().backward()
            gradients.append({name: parameter.grad.clone() for name, parameter in encoder.named_parameters()})
    keys, values, keys_of_three, values_of_three = gradients
    direct = [0.5**0.5 * 2 * x for x in encoder(Sequences(ids, ids > 0)).values[0]]  # what comes straight to e
    for name in keys:
        assert_close(keys_of_three[name], keys[name] / 6)
        if "table" not in name:
            assert_close(values_of_three[name], values[name] / 6)
    for place in range(3):
        whole, few = (found["positions.table.weight"][place] for found in (values, values_of_three))
        assert_close(few - direct[place], (whole - direct[place]) / 6)


def parameters_of(symbols: int, size: int, layers: Any, output_size: int) -> int:
    """How many weights the paper's network has, each layer but the tables with a gain and a bias for each output."""

    def linear(inputs: int, outputs: int) -> int:
        return inputs * outputs + outputs + outputs

    total = 0
    for side, kinds in zip(("encoder", "decoder"), layers, strict=True):
        total += symbols * size + 1024 * size  # tokens and positions
        width = kinds[0][0]
        total += linear(size, width)
        for wide, kernel, count in kinds:
            for _ in range(count):
                total += linear(kernel * width, 2 * wide) + (linear(width, wide) if width != wide else 0)
                total += linear(wide, size) + linear(size, wide) if side == "decoder" else 0
                width = wide
        total += linear(width, size) if side == "encoder" else linear(width, output_size)
    return total + linear(output_size, symbols)


@pytest.mark.parametrize(
    ("symbols", "size", "layers", "output_size", "wanted"),
    [(10_000, 256, SMALL, 256, 11_644_448), (40_000, 768, LARGE, 512, 209_569_920)],
)
def test_the_published_networks_have_so_many_weights(
    symbols: int, size: int, layers: Any, output_size: int, wanted: int
) -> None:
    with torch.device("meta"):
        encoder = ConvS2SEncoder(Embedding(symbols, size), layers=layers[0])
        decoder = ConvS2SDecoder(Embedding(symbols, size), encoder.widths, layers=layers[1], output_size=output_size)
    found = sum(parameter.numel() for part in (encoder, decoder) for parameter in part.parameters())
    assert found == parameters_of(symbols, size, layers, output_size) == wanted


@pytest.mark.parametrize("size, layers", [(256, SMALL), (768, LARGE)])
def test_the_variance_of_the_encoder_s_output_is_that_of_its_input(size: int, layers: Any) -> None:
    torch.manual_seed(1)
    encoder = ConvS2SEncoder(Embedding(1000, size, uniform=0.1732), layers=layers[0], dropout=0.0)
    ids = torch.randint(3, 1000, (2, 20))
    before = encoder.positions.add(encoder.embedding(ids), 0).detach().var()
    after = encoder(Sequences(ids, ids > 0))
    for made in (after.keys, after.values):
        assert_close(float(made.detach().var() / before), 1.0, rtol=0.2, atol=0)


def test_the_variance_of_the_small_decoder_s_output_is_that_of_its_input() -> None:
    torch.manual_seed(1)
    encoder = ConvS2SEncoder(Embedding(1000, 256, uniform=0.1732), layers=SMALL[0], dropout=0.0)
    decoder = ConvS2SDecoder(Embedding(1000, 256, uniform=0.1732), encoder.widths, layers=SMALL[1], dropout=0.0)
    ids = torch.randint(3, 1000, (2, 20))
    output, _ = decoder(ids, decoder.start(encoder(Sequences(ids, ids > 0))))
    before = decoder.positions.add(decoder.embedding(ids), 0).detach().var()
    assert_close(float(output.features.detach().var() / before), 1.0, rtol=0.2, atol=0)


def test_it_can_be_saved_and_restored() -> None:
    def part() -> ConvS2SDecoder:
        return ConvS2SDecoder(Embedding(8, 6), Widths(5, 4, 3), layers=((4, 3, 2),))

    one, other = part(), part()
    with torch.no_grad():
        for parameter in one.parameters():  # so that gains are those of no fresh network
            parameter.add_(torch.rand_like(parameter))
    load_model(other, model_tensors(one))
    assert live_tensors(one).keys() == live_tensors(other).keys()
    source = Encoded(torch.randn(1, 2, 5), torch.randn(1, 2, 4), torch.ones(1, 2, dtype=torch.bool), torch.zeros(1, 3))
    tokens = torch.tensor([[0, 3, 4]])
    ones, others = (model.eval()(tokens, model.start(source))[0].features for model in (one, other))
    assert torch.equal(ones, others)


def test_a_target_too_long_for_its_positions_is_one_sentence() -> None:
    decoder = drawn(ConvS2SDecoder(Embedding(8, 6), Widths(6, 6, 6), layers=((4, 3, 1),), max_positions=5))
    with torch.no_grad():
        decoder.readout.bias[1] = -1e4  # it never ends
    source = Encoded(*(torch.randn(1, 2, 6).double(),) * 2, torch.ones(1, 2, dtype=torch.bool), torch.zeros(1, 6))
    assert len(beam_search(decoder, source, SearchOptions(beam_size=1, max_length=5))[0]) == 1
    with pytest.raises(UsageError, match="there are positions for 5 tokens, and a sentence of 6 or more came"):
        beam_search(decoder, source, SearchOptions(beam_size=1, max_length=6))


def changed(*changes: str) -> list[str]:
    encoder = "{class: ConvS2SEncoder, layers: [[16, 3, 1], [12, 3, 1]], attention_layers: 1}"
    decoder = "{class: ConvS2SDecoder, layers: [[16, 3, 1]], output_size: 8, max_positions: 64}"
    return [f"model.encoder={encoder}", f"model.decoder={decoder}", *changes]


def test_it_is_trained_and_used_as_any_other(toy: Path, tmp_path: Path) -> None:
    config = read_config(toy / "toy.yml", changed("train.steps=3", "train.precision=bfloat16"))
    assert train(config, tmp_path / "run").step == 3
    (found,) = load(tmp_path / "run").translate(["a b c"], attention=True)
    weights = found.alternatives[0].attention
    assert weights is not None and weights.shape[:2] == (1, 1)


@pytest.mark.parametrize(
    ("layers", "sentence"),
    [
        ("[]", "layers must name the size, kernel and number of at least one layer"),
        ("[[16, 3]]", "expected a list of 3, got 2"),
        ("[[16, 0, 2]]", "expected at least 1, got 0"),
    ],
)
def test_layers_that_make_no_sense_are_refused(toy: Path, layers: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        config = read_config(toy / "toy.yml", changed(f"model.encoder.layers={layers}"))
        task = config.make_task()
        task.prepare(toy.parent / "prepared")
        task.build(config.model)
