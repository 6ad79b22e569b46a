"""Whatever CTranslate2 can express it does exactly as we do; the rest it is never given."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exports import SYMBOLS, TOKENIZERS, exported, model
from hypothesis import given, settings
from hypothesis import strategies as st

from seqloom.decoders import RNNDecoder
from seqloom.decoders.ssru import SSRUDecoder
from seqloom.encoders import RNNEncoder, TransformerEncoder
from seqloom.engines.base import Request
from seqloom.engines.native import NativeEngine
from seqloom.errors import UsageError
from seqloom.exporting.ctranslate2_spec import transformer_of
from seqloom.layers.experts import MixtureOfExperts
from seqloom.layers.feedforward import PositionWise
from seqloom.layers.positions import (
    AlibiPositions,
    LearnedPositions,
    NoPositions,
    RelativePositions,
    RotaryPositions,
    SinusoidalPositions,
)
from seqloom.models import EncoderDecoder, Ensemble, Model, VocabularySizes
from seqloom.search import Hypothesis, SearchOptions

SOURCES = [[5, 8, 4], [7], [3, 3, 8, 7, 6, 5, 4], [6, 8]]
LIMIT = 12  # tokens, the end included
ENCODER_POSITIONS = (
    *(SinusoidalPositions, NoPositions, LearnedPositions, RelativePositions, RotaryPositions),
    partial(SinusoidalPositions, layout="pairs", first=2, inclusive=True),
    partial(RelativePositions, max_distance=2),
    partial(RotaryPositions, base=50),
)
ACTIVATIONS = ("relu", "gelu", "swish", "swiglu")


HEADS = ((4, None), (2, 1), (4, 2), (3, None), (6, 3), (3, 1))  # of queries, and of keys and values


def sides(positions: tuple[Any, ...]) -> st.SearchStrategy[dict[str, Any]]:
    heads = st.sampled_from([{"heads": of_queries, "key_value_heads": others} for of_queries, others in HEADS])
    rest = st.fixed_dictionaries(
        {
            "layers": st.integers(1, 3),
            "feedforward": st.sampled_from([partial(PositionWise, inner_size=10, activation=a) for a in ACTIVATIONS]),
            "positions": st.sampled_from(positions),
            "norm": st.sampled_from(["pre", "post", "sandwich"]),
            "normalization": st.sampled_from(["layer", "rms"]),
            "scale_embedding": st.booleans(),
        }
    )
    return st.builds(dict.__or__, heads, rest)


EMBEDDINGS = st.fixed_dictionaries(
    {
        "tie": st.sampled_from(["none", "target", "sides", "all"]),
        "readout_bias": st.sampled_from([None, True, False]),
    }
)


def found(engine: Any, **options: Any) -> list[Hypothesis]:
    request = Request(options=SearchOptions(max_length=LIMIT, **options), attention=True)
    return [one.hypotheses[0] for one in engine.search(SOURCES, request)]


@settings(max_examples=20)
@given(
    encoder=sides(ENCODER_POSITIONS),
    decoder=sides((*ENCODER_POSITIONS, AlibiPositions)),
    embedding=EMBEDDINGS,
    epsilon=st.sampled_from([1e-6, 1e-5, 0.1]),
    read_end=st.booleans(),
    kind=st.sampled_from(["gnmt", "average", "none"]),
    length_penalty=st.sampled_from([-0.3, 0.0, 0.7, 1.0]),
    seed=st.integers(0, 9),
)
def test_tokens_scores_and_attention_are_ours_whatever_the_options(
    encoder: dict[str, Any],
    decoder: dict[str, Any],
    embedding: dict[str, Any],
    epsilon: float,
    read_end: bool,
    kind: str,
    length_penalty: float,
    seed: int,
) -> None:
    made = model(
        encoder | {"norm_epsilon": epsilon},
        decoder | {"norm_epsilon": epsilon},
        embedding=embedding,
        read_end=read_end,
        seed=seed,
    )
    with tempfile.TemporaryDirectory() as directory:
        fast = exported(made, Path(directory))
        for ours, theirs in zip(found(NativeEngine(made), beam_size=1), found(fast, beam_size=1), strict=True):
            assert ours.tokens == theirs.tokens
            assert theirs.log_prob == pytest.approx(ours.log_prob, abs=1e-3)
            weights = ours.attention[-1:].mean(1, keepdims=True)  # of the last layer, the mean over heads
            seen = weights[..., : theirs.attention.shape[-1]]  # a norm of few features makes small differences larger
            np.testing.assert_allclose(theirs.attention, seen, atol=2e-4)
        beam: dict[str, Any] = {"beam_size": 3, "length_penalty_kind": kind, "length_penalty": length_penalty}
        for ours, theirs in zip(found(NativeEngine(made), **beam), found(fast, **beam), strict=True):
            if len(ours.tokens) + 1 < LIMIT:
                assert theirs.score == pytest.approx(ours.score, abs=1e-3)
            else:  # of those that are made to end, CTranslate2 tells some only
                assert theirs.score <= ours.score + 1e-3


def recurrent(**options: Any) -> Model:
    sizes = VocabularySizes(SYMBOLS, SYMBOLS, joint=True)
    sides = {"encoder": partial(RNNEncoder, size=8), "decoder": partial(RNNDecoder, size=8, attention=None)}
    return EncoderDecoder(sizes, **(sides | options))


REFUSED: dict[str, Callable[[], Model]] = {
    "model: Ensemble": lambda: Ensemble([model({}, {}), model({}, {})]),
    "encoder: RNNEncoder": recurrent,
    "decoder: RNNDecoder": lambda: recurrent(encoder=partial(TransformerEncoder, layers=1, heads=2)),
    "decoder: SSRUDecoder": lambda: recurrent(
        encoder=partial(TransformerEncoder, layers=1, heads=2), decoder=partial(SSRUDecoder, layers=1, heads=2)
    ),
    "reverse_source: true": lambda: model({}, {}, reverse_source=True),
    "repeat_source: 2": lambda: model({}, {}, repeat_source=2),
    "positions: alibi in an encoder": lambda: model({"positions": AlibiPositions}, {}),
    "norm_epsilon: 0.1 in the encoder and 1e-05 in the decoder": lambda: model({"norm_epsilon": 0.1}, {}),
    "feedforward: MixtureOfExperts": lambda: model({"feedforward": partial(MixtureOfExperts, experts=2, k=1)}, {}),
}


@pytest.mark.parametrize("option", REFUSED)
def test_what_cant_be_expressed_is_refused_by_name(option: str) -> None:
    with pytest.raises(UsageError) as caught:
        transformer_of(REFUSED[option](), TOKENIZERS, positions=16)
    wanted = f"CTranslate2 can't express {option}; such a model runs on the native engine only"
    assert str(caught.value) == wanted
