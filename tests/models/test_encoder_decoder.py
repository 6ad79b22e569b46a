"""Models have the papers' sizes, tie what they say they tie, and refuse what doesn't fit."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch.testing import assert_close

from seqloom.attention import AdditiveAttention, DotAttention
from seqloom.decoders import InputFeedingDecoder, RNNDecoder, TransformerDecoder
from seqloom.encoders import PoolingEncoder, RNNEncoder, TransformerEncoder, TwoSourceEncoder
from seqloom.layers.bridges import ZeroBridge
from seqloom.layers.dropout import Dropout
from seqloom.layers.embedding import Embedding
from seqloom.layers.recurrent import LSTMCell, reverse
from seqloom.models import EncoderDecoder, VocabularySizes
from seqloom.models.encoder_decoder import EmbeddingOptions
from seqloom.models.reading import Reading
from seqloom.models.scheduled_sampling import sampled
from seqloom.structures import Batch, Encoded, Sequences, Widths

Build = Callable[..., EncoderDecoder]


def transformer(vocabulary: VocabularySizes, *, embedding: EmbeddingOptions, **options: Any) -> EncoderDecoder:
    return EncoderDecoder(
        vocabulary,
        encoder=partial(TransformerEncoder, **options),
        decoder=partial(TransformerDecoder, **options),
        embedding=embedding,
    )


def small_transformer(vocabulary: VocabularySizes, embedding: EmbeddingOptions) -> EncoderDecoder:
    return transformer(vocabulary, embedding=embedding, layers=2, heads=2, feedforward=16)


def small_recurrent(vocabulary: VocabularySizes, embedding: EmbeddingOptions) -> EncoderDecoder:
    return EncoderDecoder(
        vocabulary,
        encoder=partial(RNNEncoder, size=6, layers=2),
        decoder=partial(RNNDecoder, size=10, attention=partial(AdditiveAttention, size=4)),
        embedding=embedding,
    )


every = pytest.mark.parametrize("build", [small_transformer, small_recurrent])


def count(model: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize(
    ("size", "heads", "feedforward", "parameters"),
    [(512, 8, 2048, 63_082_496), (1024, 16, 4096, 214_245_376)],
    ids=["base", "big"],
)
def test_the_transformer_of_the_paper_has_the_papers_parameters(
    size: int, heads: int, feedforward: int, parameters: int
) -> None:
    """https://arxiv.org/abs/1706.03762, table 3, which rounds them to 65 and 213 million."""
    with torch.device("meta"):
        model = transformer(
            VocabularySizes(37_000, 37_000, joint=True),
            embedding=EmbeddingOptions(size=size, tie="all"),
            layers=6,
            heads=heads,
            feedforward=feedforward,
            norm="post",
        )
    assert count(model) == parameters


@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_recurrent_encoder_has_the_parameters_that_its_sizes_say(bidirectional: bool) -> None:
    model = EncoderDecoder(
        VocabularySizes(9, 11, joint=False),
        encoder=partial(RNNEncoder, size=6, layers=2, bidirectional=bidirectional),
        decoder=partial(RNNDecoder, size=10),
        embedding=EmbeddingOptions(size=8),
    )
    directions = 2 if bidirectional else 1
    layers = [3 * 6 * (8 + 6 + 1), 3 * 6 * (directions * 6 + 6 + 1)]
    assert count(model.encoder) == 9 * 8 + directions * sum(layers)
    cell, start = 3 * 10 * (8 + 10 + 1), 10 * (directions * 6 + 1)
    features, readout = 2 * 8 * (10 + 8 + 1), 11 * (8 + 1)
    assert count(model.decoder) == 11 * 8 + cell + start + features + readout


@every
def test_ties_share_vectors_and_nothing_else_does(build: Build) -> None:
    vocabulary = VocabularySizes(9, 9, joint=True)
    models = {tie: build(vocabulary, EmbeddingOptions(size=8, tie=tie)) for tie in ("none", "target", "sides", "all")}
    shared = {}
    for tie, model in models.items():
        source, target = model.encoder.embedding.table.weight, model.decoder.embedding.table.weight
        shared[tie] = (target is model.decoder.readout.weight, source is target)
    assert shared == {"none": (False, False), "target": (True, False), "sides": (False, True), "all": (True, True)}
    counts = {tie: count(model) for tie, model in models.items()}
    assert counts["none"] - counts["target"] == 9 * 8 + 9  # a matrix and its bias
    assert counts["target"] - counts["all"] == counts["none"] - counts["sides"] == 9 * 8


@every
def test_reading_backwards_is_reading_the_sentence_turned_round(build: Build) -> None:
    model = build(VocabularySizes(9, 11, joint=False), EmbeddingOptions(size=8)).eval()
    source = random_batch().source
    turned = model.encode(Sequences(reverse(source.ids, source.lengths()), source.mask), weights=True)
    model.reading = Reading(backwards=True, times=1)
    encoded = model.encode(source, weights=True)
    assert torch.equal(encoded.mask, source.mask)
    assert_close(encoded.summary, turned.summary)
    for row, length in enumerate(source.lengths().tolist()):
        assert_close(encoded.keys[row, :length], turned.keys[row, :length].flip(0))
        assert_close(encoded.values[row, :length], turned.values[row, :length].flip(0))
        if encoded.attention is not None and turned.attention is not None:
            shown, there = (x.attention[row, :, :, :length, :length] for x in (encoded, turned))
            assert_close(shown, there.flip(2, 3))


@every
@pytest.mark.parametrize("backwards", [False, True])
def test_reading_twice_is_reading_the_sentence_behind_itself(build: Build, backwards: bool) -> None:
    model = build(VocabularySizes(9, 11, joint=False), EmbeddingOptions(size=8)).double().eval()
    source = random_batch().source
    model.reading = Reading(backwards=backwards, times=2)
    encoded = model.encode(source, weights=True)
    assert torch.equal(encoded.mask, source.mask) and encoded.ids is source.ids
    for row, length in enumerate(source.lengths().tolist()):
        ids = source.ids[row, :length].flip(0) if backwards else source.ids[row, :length]
        twice = model.encoder(Sequences(ids.repeat(2)[None], torch.ones(1, 2 * length, dtype=torch.bool)), weights=True)
        assert_close(encoded.summary[row], twice.summary[0])
        last = twice.keys[0, length:]
        assert_close(encoded.keys[row, :length], last.flip(0) if backwards else last)
        if encoded.attention is not None:
            shown = twice.attention[0, :, :, length:, :length] + twice.attention[0, :, :, length:, length:]
            wanted = shown.flip(2, 3) if backwards else shown
            assert_close(encoded.attention[row, :, :, :length, :length], wanted)
            assert encoded.attention[row, ..., length:].abs().sum() == 0


@pytest.mark.parametrize("options", [{"reverse_source": True}, {"repeat_source": 2}], ids=["reverse", "repeat"])
def test_a_source_of_parts_is_read_as_it_stands(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="_source would turn the parts round that TwoSourceEncoder looks for"):
        EncoderDecoder(
            VocabularySizes(9, 11, joint=False),
            encoder=partial(TwoSourceEncoder, first=RNNEncoder),
            decoder=RNNDecoder,
            **options,
        )


@every
def test_without_a_draw_scheduled_sampling_is_teacher_forcing(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a rate near 0 nothing is exchanged; in evaluation nothing is, whatever the rate."""
    model = build(VocabularySizes(9, 11, joint=False), EmbeddingOptions(size=8))
    for dropout in model.modules():
        if isinstance(dropout, Dropout):
            dropout.rate = 0.0
    batch = random_batch()
    plain = model(batch).features
    model.scheduled_sampling = 1e-9
    assert_close(model(batch).features, plain)
    model.scheduled_sampling = 0.999999
    assert not torch.allclose(model(batch).features, plain)
    assert_close(model.eval()(batch).features, plain)


def test_groups_of_tokens_are_not_read_from_their_end() -> None:
    with pytest.raises(ValueError) as said:
        EncoderDecoder(
            VocabularySizes(9, 11, joint=False),
            encoder=partial(PoolingEncoder, stride=2),
            decoder=partial(RNNDecoder, size=10),
            reverse_source=True,
        )
    assert str(said.value) == (
        "reverse_source needs an encoder with a position for each token, such as one of stride: 1"
    )


def test_scheduled_sampling_feeds_what_the_model_says() -> None:
    """A model that can say but one symbol is fed that one, always or at the rate asked for."""
    model = small_recurrent(VocabularySizes(9, 11, joint=False), EmbeddingOptions(size=8)).eval()
    with torch.no_grad():
        model.get_submodule("decoder.readout").bias.fill_(-1e9)[7] = 0  # type: ignore[union-attr, operator]
    tokens = torch.randint(3, 7, (400, 6))
    fed: list[torch.Tensor] = []
    model.decoder.register_forward_hook(lambda module, given, said: fed.append(given[0]))
    encoded = model.encode(Sequences(tokens, torch.ones_like(tokens, dtype=torch.bool)))
    output = sampled(model.decoder, tokens, model.decoder.start(encoded), rate=0.25)
    together = torch.cat(fed, 1)
    assert output.features.shape[:2] == tokens.shape
    assert torch.equal(together[:, 0], tokens[:, 0]), "the sign of the beginning stays"
    exchanged = together != tokens
    assert set(together[exchanged].tolist()) == {7}
    assert abs(float(exchanged[:, 1:].float().mean()) - 0.25) < 0.04


def test_the_features_of_input_feeding_are_their_formula() -> None:
    """Step by step: the cell reads token and context, attention is asked with its output, tanh(W [output; context])."""
    widths = Widths(keys=4, values=5, summary=6)
    attention = partial(DotAttention, size=3)
    decoder = InputFeedingDecoder(
        Embedding(9, 8), widths, attention=attention, size=7, cell=LSTMCell, bridge=ZeroBridge
    )
    mask = torch.arange(5)[None] < torch.tensor([5, 2, 3])[:, None]
    source = Encoded(torch.randn(3, 5, 4), torch.randn(3, 5, 5), mask, torch.randn(3, 6))
    tokens = torch.randint(0, 9, (3, 4))
    output, _ = decoder(tokens, decoder.start(source), weights=True)
    cell: Any = decoder.stack.cells[0]
    state, context = (torch.zeros(3, 7), torch.zeros(3, 7)), torch.zeros(3, 5)
    asked: Any = decoder.attention
    for place in range(4):
        state = cell(cell.input(torch.cat([decoder.embedding(tokens[:, place]), context], 1)), state)
        seen = asked(state[0][:, None], asked.memory(source), weights=True)
        found, weights = seen.context, seen.weights
        context = found[:, 0]
        assert_close(output.features[:, place], torch.tanh(decoder.mixture(torch.cat([state[0], context], 1))))  # type: ignore[misc]
        assert output.attention is not None
        assert_close(output.attention[:, 0, :, place], weights[:, :, 0])


@every
def test_a_model_says_something_of_every_target_token(build: Build) -> None:
    model = build(VocabularySizes(9, 11, joint=False), EmbeddingOptions(size=8)).eval()
    batch = random_batch()
    output = model(batch)
    assert output.features.shape == (3, 4, 8)  # one less than the target has, since nothing follows its last
    assert model.decoder.project(output.features).shape == (3, 4, 11)
    assert output.attention is None and output.penalty == 0
    assert torch.isfinite(output.features).all()


@every
def test_what_a_model_says_is_what_its_parts_say(build: Build) -> None:
    model = build(VocabularySizes(9, 11, joint=False), EmbeddingOptions(size=8)).eval()
    batch = random_batch()
    output, _ = model.decoder(batch.target.ids[:, :-1], model.decoder.start(model.encode(batch.source)))
    assert_close(model(batch).features, output.features)


@every
def test_what_was_not_asked_to_be_learnt_from_is_not_seen(build: Build) -> None:
    """Neither the last target token nor padding of either side reaches what is said of real tokens."""
    model = build(VocabularySizes(9, 11, joint=False), EmbeddingOptions(size=8)).eval()
    batch = random_batch()
    source = Sequences(batch.source.ids.where(batch.source.mask, torch.tensor(8)), batch.source.mask)
    target = Sequences(batch.target.ids.where(batch.target.mask, torch.tensor(10)), batch.target.mask)
    target.ids[:, -1] = 7
    real = batch.target.mask[:, 1:]
    assert_close(model(Batch(source, target)).features[real], model(batch).features[real])


def random_batch() -> Batch:
    torch.manual_seed(0)
    source, target = (
        Sequences(torch.randint(4, top, (3, 5)), torch.arange(5)[None] < torch.tensor(lengths)[:, None])
        for top, lengths in ((9, [5, 2, 3]), (11, [3, 5, 4]))
    )
    return Batch(source, target)


def test_one_table_for_two_vocabularies_is_refused() -> None:
    with pytest.raises(ValueError) as caught:
        small_transformer(VocabularySizes(9, 9, joint=False), EmbeddingOptions(size=8, tie="all"))
    assert str(caught.value) == (
        "tie: all needs one vocabulary for source and target; set joint: true in the tokenizer"
    )


def test_heads_that_do_not_divide_the_width_are_refused() -> None:
    with pytest.raises(ValueError) as caught:
        transformer(VocabularySizes(9, 9, joint=True), embedding=EmbeddingOptions(size=8), layers=1, heads=3)
    assert str(caught.value) == "size must be a multiple of heads, got size 8 and 3 heads"
