"""Every registered class in every variant worth a test, small, with weights that aren't: a new class is tested too."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from seqloom.attention import (
    Additive,
    AdditiveAttention,
    Attention,
    BiasedGeneral,
    Convolutional,
    Dot,
    Entmax,
    GaussianBias,
    General,
    GeneralAttention,
    Hard,
    LinearChain,
    LocalMonotonic,
    LocalPredictive,
    Location,
    MultiHeadAttention,
    Sigmoid,
    Sparsemax,
)
from seqloom.attention.co_attention import AlternatingCoAttention, ParallelCoAttention
from seqloom.decoders import Decoder, InputFeedingDecoder, RNNDecoder, TransformerDecoder
from seqloom.encoders import ConvolutionalEncoder, Encoder, PoolingEncoder, RNNEncoder, TransformerEncoder
from seqloom.layers.bridges import DenseBridge, PassThroughBridge, ZeroBridge
from seqloom.layers.embedding import Embedding
from seqloom.layers.experts import MixtureOfExperts
from seqloom.layers.feedforward import PositionWise
from seqloom.layers.positions import (
    AlibiPositions,
    LearnedPositions,
    NoPositions,
    RelativePositions,
    RotaryPositions,
)
from seqloom.layers.recurrent import GRUCell, LayerNormLSTMCell, LSTMCell, RNNCell
from seqloom.registry import known
from seqloom.structures import Encoded, Sequences, Widths

Options = dict[str, Any]
SYMBOLS = 6  # few enough that a search can try them all
EMBEDDING, QUERY = 12, 8  # widths that differ, so that no two can be confused
WIDTHS = Widths(keys=10, values=9, summary=7)
ONE_WIDTH = Widths(keys=10, values=10, summary=7)  # for what can't tell keys from values
ADDITIVE = partial(AdditiveAttention, size=8)
EXPERTS = partial(MixtureOfExperts, experts=4, k=2, inner_size=6)
SPARSE: Options = {"positive": False}  # of an attention: real positions may weigh nothing
GATES: Options = {"sums": False, "positive": False}  # weights are shares, but needn't sum to 1

HIDDEN: Options = {"shows": False}  # of an encoder: it has no attention to show
RNN = partial(RNNEncoder, size=7)  # for what is made of encoders
TRANSFORMER = partial(TransformerEncoder, layers=1, heads=2, feedforward=20)
ONE_HEAD = partial(TransformerEncoder, layers=2, heads=1, feedforward=20)
POOLING = partial(PoolingEncoder, pool_size=2)
CONVOLUTIONS = partial(ConvolutionalEncoder, key_size=10, key_layers=1, value_size=8, value_layers=1, positions="none")

# What both sides of a Transformer can be, beside pre-norm and post-norm.
TRANSFORMERS: dict[str, Options] = {
    "learned-sandwich": {"positions": partial(LearnedPositions, max_positions=60), "norm": "sandwich"},
    "relative-post-gelu": {"positions": partial(RelativePositions, max_distance=2), "norm": "post"}
    | {"feedforward": partial(PositionWise, inner_size=20, activation="gelu")},
    "rotary-rms-grouped-swiglu": {"positions": RotaryPositions, "normalization": "rms", "key_value_heads": 1}
    | {"feedforward": partial(PositionWise, inner_size=20, activation="swiglu")},
    "alibi-sandwich-rms": {"positions": AlibiPositions, "norm": "sandwich", "normalization": "rms"},
    "no-positions-layer-drop": {"positions": NoPositions, "layer_drop": 0.5},
}

# What a constructor is given where it has a parameter of this name.  An `attention` is each in turn, and none.
SMALL: Options = {"size": QUERY, "layers": 2, "heads": 2, "feedforward": 20, "dropout": 0.1}

# Which variants of a class are tested.  A class that isn't listed here is tested once, as SMALL makes it; one that
# needs something unusual says so here.
# `widths` and `tied` say what a class is built on, `sums` and `positive` what its weights are, `shows` that there are
# some: no options of its own.
# An `attention` here is the only one; elsewhere it is each whose weights sum to 1 and are positive.
VARIANTS: dict[str, dict[str, Options]] = {
    "DotAttention": {
        "projected": {},
        "plain": {"size": None, "widths": replace(WIDTHS, keys=QUERY)},
        "scaled": {"size": None, "scaled": True, "widths": replace(WIDTHS, keys=QUERY)},
    },
    "AdditiveAttention": {"": {}, "with-bias": {"key_bias": True}},
    "MultiHeadAttention": {"": {"widths": ONE_WIDTH}},
    "GeneralAttention": {
        "": {"compatibility": partial(Additive, size=8)},
        "sparsemax": {"compatibility": General, "distribution": Sparsemax, "size": None, "heads": 1} | SPARSE,
        "entmax": {"compatibility": BiasedGeneral, "distribution": Entmax} | SPARSE,
        "hard": {"compatibility": General, "distribution": Hard} | SPARSE,
        "gaussian": {"compatibility": General, "distribution": GaussianBias} | SPARSE,
        "local": {"compatibility": General, "distribution": LocalPredictive} | GATES,
        "sigmoid-features": {"compatibility": General, "distribution": Sigmoid, "heads": "features"} | GATES,
        "linear-chain": {"compatibility": General, "distribution": LinearChain} | GATES,
        "coverage": {"compatibility": partial(Additive, size=8), "coverage": 1.0, "size": None, "heads": 1},
        "coverage-of-heads": {"compatibility": partial(Dot, size=8), "coverage": 0.0} | SPARSE,
        "convolutional": {"compatibility": partial(Convolutional, size=8, filters=3, kernel=3)},
        "location": {"compatibility": partial(Location, positions=8), "size": None, "heads": 1},
        "local-monotonic": {"compatibility": General, "distribution": partial(LocalMonotonic, window=2)} | SPARSE,
    },
    "MultiHop": {
        "": {"attention": ADDITIVE},
        "local": {"attention": partial(GeneralAttention, distribution=partial(LocalMonotonic, window=1))} | SPARSE,
    },
    "RNNEncoder": {
        "gru": {"layers": 1},
        "gru-2": {},
        "lstm-2": {"cell": LSTMCell},
        "lstm-2-backward-state": {"cell": LSTMCell, "summary": "backward"},
        "lstm-forwards": {"cell": LSTMCell, "layers": 1, "bidirectional": False},
        "gru-2-forwards": {"bidirectional": False},
        "lstm-2-whole-state": {"cell": LSTMCell, "summary": "all"},
        "gru-2-meeting-at-the-top": {"meet": "top", "summary": "all", "uniform": 0.1},
        "rnn-2-output-dropout": {"cell": RNNCell, "output_dropout": 0.1},
        "gru-3-dense-mean": {"meet": "top", "residual": "mean", "dense": True, "layers": 3},
        "gru-3-concat": {"meet": "top", "residual": "concat", "layers": 3},
        "lstm-3-experts": {"cell": LSTMCell, "layers": 3, "between": EXPERTS, "between_after": 2},
        "gru-2-experts-meeting-at-the-top": {"meet": "top", "between": EXPERTS},
    },
    "RNMTEncoder": {"3": {"layers": 3}, "gru-1": {"layers": 1, "cell": GRUCell, "uniform": 0.1}},
    "RNMTDecoder": {
        "additive": {"layers": 4, "attention": ADDITIVE},
        "four-heads": {
            "attention": partial(GeneralAttention, compatibility=partial(Additive, size=8), heads=4, size=8)
        },
        "gru-1-multi-head": {"layers": 1, "cell": GRUCell, "attention": partial(MultiHeadAttention, heads=2)}
        | {"widths": ONE_WIDTH, "uniform": 0.1},
        "lstm-3-tied": {"layers": 3, "cell": LSTMCell, "readout_size": EMBEDDING, "tied": True, "attention": ADDITIVE},
        "lstm-2-experts": {"cell": LSTMCell, "between": EXPERTS, "attention": ADDITIVE},
    },
    "RNNDecoder": {
        "gru": {"layers": 1},
        "lstm-2": {"cell": LSTMCell, "attention": ADDITIVE},
        "gru-of-the-state-before": {"layers": 1, "readout_size": 5, "readout_state": "before", "attention": ADDITIVE},
    },
    "InputFeedingDecoder": {
        "gru": {"layers": 1, "cell": partial(GRUCell, reset="before", gate_bias=1.0)},
        "lstm-2-features": {"cell": LSTMCell, "feed": "features", "bridge": ZeroBridge, "attention": ADDITIVE},
        "norm-lstm-2-add": {"cell": LayerNormLSTMCell, "residual": "add", "attention": ADDITIVE},
        "gru-2-concat": {"residual": "concat", "dense": True, "attention": ADDITIVE},
        "rnn-2-mean": {"cell": RNNCell, "residual": "mean", "attention": None},
        "gru-2-of-keys": {"bridge": partial(DenseBridge, of="keys", activation="tanh"), "attention": None},
        "gru-2-pass": {"bridge": PassThroughBridge, "widths": replace(WIDTHS, summary=2 * QUERY), "attention": None},
        "lstm-2-experts": {"cell": LSTMCell, "residual": "add", "between": EXPERTS, "attention": ADDITIVE},
        "gru-3-experts": {"layers": 3, "between": EXPERTS, "between_after": 2, "attention": None},
    },
    "CopyingDecoder": {
        "rnn": {"decoder": partial(RNNDecoder, size=QUERY, attention=ADDITIVE)},
        "input-feeding": {"decoder": partial(InputFeedingDecoder, size=EMBEDDING, attention=ADDITIVE), "tied": True},
        "transformer": {"decoder": partial(TransformerDecoder, layers=2, heads=2, feedforward=20), "widths": ONE_WIDTH},
    },
    "PoolingEncoder": {
        "average": {"pool_size": 3, "max_positions": 4},
        "average-of-all": {"pool_size": 11, "positions": "add"},
        "max": {"pooling": "max", "pool_size": 2, "positions": "none"},
    },
    "ConvolutionalEncoder": {
        "multiply": {"key_size": 10, "key_layers": 3, "value_size": 9, "value_layers": 2, "max_positions": 4},
        "add": {"key_size": 10, "key_layers": 1, "key_kernel": 4, "value_layers": 3, "value_kernel": 1}
        | {"value_size": 9, "positions": "add"},
    },
    "CascadedEncoder": {
        "transformer-on-rnn": {"first": RNN, "second": TRANSFORMER},
        "rnn-on-pooling": {"first": POOLING, "second": RNN} | HIDDEN,
    },
    "MultiColumnEncoder": {
        "concatenated": {"columns": (RNN, TRANSFORMER, ONE_HEAD), "size": None},
        "projected": {"columns": (RNN, CONVOLUTIONS), "size": 11} | HIDDEN,
    },
    "SelfAttentiveEncoder": {"": {"encoder": RNN, "hops": 3} | HIDDEN},
    "QueryPoolingEncoder": {"": {"encoder": RNN, "queries": 3, "attention": ADDITIVE} | HIDDEN},
    "HierarchicalEncoder": {
        "rnn": {"words": RNN, "sentences": RNN, "attention": ADDITIVE},
        "convolutions-transformer": {"words": CONVOLUTIONS, "sentences": TRANSFORMER, "attention": ADDITIVE},
    },
    "TwoSourceEncoder": {
        "flat": {"first": TRANSFORMER, "second": TRANSFORMER},
        "one-encoder": {"first": RNN} | HIDDEN,
        "parallel": {"first": RNN, "second": CONVOLUTIONS, "co_attention": ParallelCoAttention} | HIDDEN,
        "alternating": {"first": RNN, "second": TRANSFORMER, "co_attention": AlternatingCoAttention} | HIDDEN,
    },
    "FactoredEncoder": {
        "sum": {"encoder": TRANSFORMER},
        "concat-3": {"encoder": RNN, "factors": 3, "combine": "concat"} | HIDDEN,
        "sum-pooled": {"encoder": POOLING} | HIDDEN,
    },
    "ConvS2SEncoder": {
        "": {"layers": [(8, 3, 2)]},
        "widths": {"layers": [(8, 3, 1), (6, 2, 2), (10, 1, 1)], "max_positions": 9, "attention_layers": 2},
    },
    "ConvS2SDecoder": {
        "": {"layers": [(8, 3, 2)]},
        "widths": {"layers": [(8, 2, 1), (6, 3, 2), (10, 1, 1)], "output_size": 5},
        "tied": {"layers": [(8, 5, 1)], "tied": True, "widths": replace(WIDTHS, keys=EMBEDDING)},
    },
    "TransformerEncoder": {
        "experts": {"feedforward": EXPERTS},
        "pre": {"norm": "pre"},
        "post": {"norm": "post"},
        **TRANSFORMERS,
    },
    "TransformerDecoder": {
        "experts": {"feedforward": EXPERTS, "widths": ONE_WIDTH},
        "pre": {"norm": "pre", "widths": ONE_WIDTH},
        "post": {"norm": "post", "tied": True, "widths": ONE_WIDTH},
        **{name: options | {"widths": ONE_WIDTH} for name, options in TRANSFORMERS.items()},
    },
    "SSRUDecoder": {
        "pre": {"widths": ONE_WIDTH},
        "post-learned": {"norm": "post", "positions": LearnedPositions, "widths": ONE_WIDTH},
    },
}
WITHOUT_ATTENTION = {
    "RNNEncoder",
    "RNMTEncoder",
    "PoolingEncoder",
    "ConvolutionalEncoder",
    "ConvS2SEncoder",
}  # they have none to show


@dataclass(frozen=True)
class Case:
    """A class and what to build it with."""

    name: str
    cls: type[nn.Module]
    options: Options
    widths: Widths = WIDTHS
    tied: bool = False
    sums: bool = True  # its weights sum to 1
    positive: bool = True  # its weights of real positions are more than 0
    shows: bool = True  # it has attention to show, as far as its options say

    @property
    def attends(self) -> bool:
        """Whether it has attention to show: a decoder over the source, an encoder over itself."""
        shows = self.shows and self.cls.__name__ not in WITHOUT_ATTENTION
        return shows and self.options.get("attention", True) is not None

    def build(self) -> nn.Module:
        """The module in float64, so that what differs by rounding alone differs by nothing to speak of."""
        torch.manual_seed(0)
        built = {"embedding": Embedding(SYMBOLS, EMBEDDING, tied=self.tied)}
        built |= {"widths": self.widths, "query_size": QUERY}
        module = self.cls(**{name: built[name] for name in self.cls.given}, **self.options)  # type: ignore[index]
        for parameter in module.parameters():
            nn.init.normal_(parameter, std=0.5)
        return module.double().eval()


def cases(base: type[nn.Module]) -> Iterator[Case]:
    """Every variant of every registered subclass; those that other tests register to try something out are left out."""
    for cls in known(base):
        if cls.__module__.partition(".")[0] != "seqloom":
            continue
        for name, extra in VARIANTS.get(cls.__name__, {"": {}}).items():
            accepted = inspect.signature(cls).parameters
            options = {key: value for key, value in SMALL.items() if key in accepted} | extra
            plain = Case(
                "-".join(filter(None, (cls.__name__, name))),
                cls,
                {key: value for key, value in options.items() if key in accepted and key != "widths"},
                options.get("widths", WIDTHS),
                options.get("tied", False),
                sums=options.get("sums", True),
                positive=options.get("positive", True),
                shows=options.get("shows", True),
            )
            crossed = "attention" in accepted and "attention" not in extra
            yield from _with_each_attention(plain) if crossed else [plain]


def _with_each_attention(case: Case) -> Iterator[Case]:
    yield Case(f"{case.name}-without-attention", case.cls, case.options | {"attention": None}, case.widths)
    for attention in filter(lambda attention: attention.sums and attention.positive, cases(Attention)):
        factory = partial(attention.cls, **attention.options)
        options = case.options | {"attention": factory}
        widths = replace(attention.widths, summary=case.widths.summary)
        yield Case(f"{case.name}-{attention.name}", case.cls, options, widths, case.tied)


def fixture_of(base: type[nn.Module]) -> Any:
    """A fixture that is every case in turn."""
    every = list(cases(base))
    assert len({case.cls for case in every}) > 1
    return pytest.fixture(params=every, ids=[case.name for case in every])(lambda request: request.param)


decoder_case = fixture_of(Decoder)
encoder_case = fixture_of(Encoder)
attention_case = fixture_of(Attention)


@pytest.fixture
def decoder(decoder_case: Case) -> nn.Module:
    return decoder_case.build()


@pytest.fixture
def encoder(encoder_case: Case) -> nn.Module:
    return encoder_case.build()


@pytest.fixture
def attention(attention_case: Case) -> nn.Module:
    return attention_case.build()


def encoded(widths: Widths, lengths: tuple[int, ...] = (5, 3), *, padding: int = 0, garbage: float = 0.0) -> Encoded:
    """What an encoder may have said of sentences of these lengths, with `garbage` in all their padding."""
    numbers = torch.Generator().manual_seed(1)
    S = max(lengths)
    shapes = (S, widths.keys), (S, widths.values), (widths.summary,)
    drawn = [torch.randn(len(lengths), *shape, generator=numbers, dtype=torch.float64) for shape in shapes]
    keys, values, summary = drawn
    mask = torch.arange(S + padding)[None] < torch.tensor(lengths)[:, None]
    wide = [nn.functional.pad(x, (0, 0, 0, padding)).where(mask[..., None], garbage) for x in (keys, values)]
    ids = nn.functional.pad(torch.randint(SYMBOLS, (len(lengths), S), generator=numbers), (0, padding), value=4)
    return Encoded(wide[0], wide[1], mask, summary, ids=ids)


@pytest.fixture
def source(decoder_case: Case) -> Callable[..., Encoded]:
    """Encoded sources of the width that the decoder at hand expects."""
    return partial(encoded, decoder_case.widths)


@pytest.fixture
def looked_at(attention_case: Case) -> Callable[..., Encoded]:
    """Encoded sources of the width that the attention at hand expects."""
    return partial(encoded, attention_case.widths)


@pytest.fixture
def sentences() -> Sequences:
    """Three sentences of different lengths, the first and last of two parts.

    What stands in their padding are real symbols, which must not matter.
    """
    mask = torch.arange(5)[None] < torch.tensor([4, 2, 5])[:, None]
    return Sequences(torch.tensor([[3, 1, 5, 2, 4], [5, 2, 1, 3, 3], [4, 4, 3, 1, 2]]), mask)


@pytest.fixture
def contents() -> Callable[[nn.Module], dict[str, Any]]:
    """A function that says all that a module and its parts hold, so that any write, in place or not, shows."""

    def described(value: Any) -> Any:
        if isinstance(value, Tensor):
            return id(value), value._version
        if isinstance(value, nn.Module):
            return id(value)
        if isinstance(value, dict):
            return {key: described(item) for key, item in value.items()}
        return repr(value)

    return lambda module: {name: described(vars(part)) for name, part in module.named_modules()}
