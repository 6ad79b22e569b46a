"""Pooling, held against loops over real positions."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from seqloom.attention import AdditiveAttention
from seqloom.decoders import RNNDecoder
from seqloom.encoders import PoolingEncoder
from seqloom.engines.native import NativeEngine
from seqloom.inspect.views import views_of
from seqloom.layers.embedding import Embedding
from seqloom.layers.positions import slopes
from seqloom.models import EncoderDecoder, VocabularySizes
from seqloom.search import SearchOptions
from seqloom.structures import Sequences, Widths
from seqloom.tokenizers import Tokenizers, Words
from seqloom.translate import Translator

LENGTHS = [7, 1, 4]
S, D = 9, 3  # wider than any sentence


@pytest.fixture
def sentences() -> Sequences:
    ids = torch.randint(3, 8, (len(LENGTHS), S), generator=torch.Generator().manual_seed(1))
    return Sequences(ids, torch.arange(S)[None] < torch.tensor(LENGTHS)[:, None])


def encoder(**options: object) -> PoolingEncoder:
    torch.manual_seed(1)
    return PoolingEncoder(Embedding(8, D), **{"dropout": 0.0, "max_positions": 6} | options).double().eval()  # type: ignore[arg-type]


def windows(length: int, *, size: int, stride: int) -> list[range]:
    """The real positions that each pooled position of one sentence covers."""
    starts = [first - (size - stride) // 2 for first in range(0, length, stride)]
    return [range(max(start, 0), min(start + size, length)) for start in starts]


@pytest.mark.parametrize("positions", ["none", "add", "multiply"])
@pytest.mark.parametrize("size, stride", [(5, 1), (1, 1), (4, 1), (3, 3), (5, 2), (30, 1)])
@pytest.mark.parametrize("pooling", ["average", "max"])
def test_it_is_what_loops_over_the_real_tokens_find(
    sentences: Sequences, pooling: str, size: int, stride: int, positions: str
) -> None:
    model = encoder(pooling=pooling, pool_size=size, stride=stride, positions=positions)
    result = model(sentences)
    places = slopes(S, D, longest=6, device=torch.device("cpu")).double().numpy()
    reduce = np.mean if pooling == "average" else np.max
    for row, length in enumerate(LENGTHS):
        x = model.embedding(sentences.ids[row]).detach().numpy()
        x = {"none": x, "add": x + places, "multiply": x * places}[positions]
        keys = [reduce(x[list(window)], axis=0) for window in windows(length, size=size, stride=stride)]
        values = [np.mean(x[start : min(start + stride, length)], axis=0) for start in range(0, length, stride)]
        real = result.mask[row]
        assert int(real.sum()) == len(keys) and real[: len(keys)].all()
        assert_close(result.keys[row][real], torch.from_numpy(np.array(keys)))
        assert_close(result.values[row][real], torch.from_numpy(np.array(values)))
        assert_close(result.summary[row], torch.from_numpy(np.mean(keys, axis=0)))


def test_without_a_stride_values_are_the_embeddings_themselves(sentences: Sequences) -> None:
    model = encoder(positions="none")
    result = model(sentences)
    assert torch.equal(result.values[result.mask], model.embedding(sentences.ids)[sentences.mask])
    assert model.widths == Widths(D, D, D)


@pytest.mark.parametrize("pooling", ["average", "max"])
def test_gradients_are_finite_whatever_the_padding(sentences: Sequences, pooling: str) -> None:
    model = encoder(pooling=pooling, stride=2)
    result = model(sentences)
    (result.keys.pow(2).sum() + result.values.sum() + result.summary.sum()).backward()
    gradient = model.embedding.table.weight.grad
    assert gradient is not None and gradient.isfinite().all()


def test_dropout_acts_on_keys_and_values_alike(sentences: Sequences) -> None:
    model = encoder(dropout=0.5, pool_size=1).train()
    result = model(sentences)
    assert torch.equal(result.keys, result.values)
    assert 0.2 < (result.values[result.mask] == 0).double().mean() < 0.8


@pytest.mark.parametrize("stride, labels", [(1, ["a", "b", "c"]), (2, ["a b", "c"]), (3, ["a b c"])])
def test_a_position_is_called_by_all_its_tokens(stride: int, labels: list[str]) -> None:
    assert encoder(stride=stride).labels(["a", "b", "c"]) == labels


def test_blocks_of_tokens_can_be_looked_at() -> None:
    words = Words()
    words.train(["a b c d e"])
    symbols = VocabularySizes(8, 8, joint=False)
    decoder = partial(RNNDecoder, size=6, attention=partial(AdditiveAttention, size=4))
    pooled = partial(PoolingEncoder, stride=2)
    model = EncoderDecoder(symbols, encoder=pooled, decoder=decoder).eval()
    translator = Translator(NativeEngine(model), Tokenizers(words, words), SearchOptions(beam_size=2, max_length=4))
    sources = [
        view.source for one in translator.translate(["a b", "a b c", "e"], attention=True) for view in views_of(one)
    ]
    assert sources == [["a b", "</s>"], ["a b", "c"], ["e"]]
    (copy,) = translator.translate(["e"], SearchOptions(beam_size=8, n_best=8, max_length=2, unknown="copy"))
    tokens = [alternative.tokens for alternative in copy.alternatives]
    assert tokens.count(["e"]) == 1, "itself and what was unknown are one text"


def test_no_token_is_lost_between_two_windows() -> None:
    with pytest.raises(ValueError) as said:
        encoder(pool_size=2, stride=3)
    assert str(said.value) == "stride can be at most pool_size, or tokens are lost, got 3 and 2"
