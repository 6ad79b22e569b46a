from __future__ import annotations

import os
import subprocess
import sys
import typing
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any, ClassVar, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import seqloom.config
from seqloom.config.schema import build
from seqloom.config.spec import Spec, describe
from seqloom.config.tree import dump, read, read_text
from seqloom.registry import ConfigError, register


class ToyAttention:
    given: ClassVar[tuple[str, ...]] = ("query_size",)


@register()
class ToyDotAttention(ToyAttention):
    def __init__(self, query_size: int, scale: float = 1.0):
        self.query_size, self.scale = query_size, scale


@register()
class ToyAdditiveAttention(ToyAttention):
    def __init__(self, query_size: int, *, size: int = 128):
        self.query_size, self.size = query_size, size


class ToyDecoder:
    given: ClassVar[tuple[str, ...]] = ("vocabulary_size",)


@register("toy-rnn")
class ToyRNNDecoder(ToyDecoder):
    def __init__(
        self,
        vocabulary_size: int,
        size: int,
        attention: typing.Callable[..., ToyAttention] | None = Spec(ToyDotAttention),
        cell: Literal["gru", "lstm"] = "gru",
        dropout: float = 0.0,
    ):
        if size % 2:
            raise ValueError(f"size must be even, got {size}")
        self.vocabulary_size, self.size, self.cell, self.dropout = vocabulary_size, size, cell, dropout
        self.attention = attention(query_size=size) if attention else None


@register()
class ToyTransformerDecoder(ToyDecoder):
    def __init__(self, vocabulary_size: int, layers: Annotated[int, SimpleNamespace(ge=1, lt=100)] = 6):
        self.vocabulary_size, self.layers = vocabulary_size, layers


@dataclass(frozen=True)
class Corpus:
    source: Path
    weight: float = 1.0


@dataclass(frozen=True)
class Data:
    train: Corpus | list[Corpus]
    columns: tuple[int, int] | None = None


@dataclass(frozen=True)
class Train:
    steps: int = 1000
    betas: tuple[float, ...] = (0.9, 0.98)
    compile: bool = False
    name: str = "run"
    tie: Literal["all", False] = False
    every: int | Literal["epoch"] = "epoch"
    hooks: list[Callable[..., ToyAttention]] = field(default_factory=list)
    extra: dict[str, float] = field(default_factory=dict)
    anything: Any = None

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"steps must be at least 1, got {self.steps}")


@dataclass(frozen=True)
class Toy:
    model: Callable[..., ToyDecoder]
    data: Data = Data(Corpus(Path("/a")))
    train: Train = Train()


def built(text: str, *overrides: str) -> Toy:
    return build(Toy, read_text(text, overrides, name="c.yml", directory=Path("/recipes")))


def refused(text: str, *overrides: str) -> str:
    with pytest.raises(ConfigError) as error:
        built(text, *overrides)
    return str(error.value)


GOOD = """\
model: {class: ToyRNNDecoder, size: 32, attention: {class: ToyAdditiveAttention, size: 8}}
data:
  train:
    - {source: a.txt}
    - {source: b.txt, weight: 2}
train: {steps: 100_000, betas: [0.9, 1], hooks: [ToyDotAttention], extra: {x: 1e-4}, anything: [1, {a: b}]}
"""


def test_a_file_becomes_checked_objects_and_factories() -> None:
    toy = built(GOOD)
    decoder = toy.model(vocabulary_size=7)
    assert isinstance(decoder, ToyRNNDecoder) and decoder.vocabulary_size == 7 and decoder.cell == "gru"
    assert isinstance(decoder.attention, ToyAdditiveAttention) and decoder.attention.query_size == 32
    assert toy.data.train == [Corpus(Path("/recipes/a.txt")), Corpus(Path("/recipes/b.txt"), 2.0)]
    assert toy.train == Train(
        100_000, (0.9, 1.0), hooks=[Spec(ToyDotAttention)], extra={"x": 1e-4}, anything=toy.train.anything
    )
    assert toy.train.anything == [1, {"a": "b"}]


@pytest.mark.parametrize("name", ["ToyTransformerDecoder", "{class: ToyTransformerDecoder}"])
def test_a_name_alone_is_a_part_with_its_defaults(name: str) -> None:
    assert built(f"model: {name}").model == Spec(ToyTransformerDecoder)


def test_defaults_of_parts_are_kept_and_null_is_a_value() -> None:
    assert isinstance(built("model: {class: toy-rnn, size: 2}").model(vocabulary_size=1).attention, ToyDotAttention)  # type: ignore[attr-defined]
    assert built("model: {class: toy-rnn, size: 2, attention: null}").model(vocabulary_size=1).attention is None  # type: ignore[attr-defined]


def test_a_union_takes_the_arm_that_fits() -> None:
    assert built("model: ToyTransformerDecoder\ndata: {train: {source: x}}").data.train == Corpus(Path("/recipes/x"))
    assert built("model: ToyTransformerDecoder\ntrain: {every: 5, tie: all}").train == Train(every=5, tie="all")
    assert built("model: ToyTransformerDecoder\ntrain: {tie: false}").train == Train()
    assert built("model: ToyTransformerDecoder\ndata: {train: {source: x}, columns: [1, 2]}").data.columns == (1, 2)


MODEL = "model: ToyTransformerDecoder\n"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("trian: {}", "c.yml:2:1: trian: there is no section 'trian'; did you mean 'train'?"),
        ("train: {stesp: 3}", "c.yml:2:9: train.stesp: train has no such key; did you mean 'steps'?"),
        ("train: {steps: many}", "c.yml:2:16: train.steps: expected an integer, got 'many'"),
        ("train: {steps: '3'}", "c.yml:2:16: train.steps: expected an integer, got '3'"),
        ("train: {steps: 3.0}", "c.yml:2:16: train.steps: expected an integer, got 3.0"),
        ("train: {steps: true}", "c.yml:2:16: train.steps: expected an integer, got true"),
        ("train: {steps: }", "c.yml:2:15: train.steps: expected an integer, got null"),
        ("train: {steps: 0}", "c.yml:2:1: train: steps must be at least 1, got 0"),
        ("train: {compile: no}", "c.yml:2:18: train.compile: expected true or false, got 'no'"),
        ("train: {name: 3}", "c.yml:2:15: train.name: expected text, got 3"),
        ("train: {betas: 3}", "c.yml:2:16: train.betas: expected a list, got 3"),
        ("train: {betas: [x]}", "c.yml:2:17: train.betas.0: expected a number, got 'x'"),
        ("train: {betas: [.nan]}", "c.yml:2:17: train.betas.0: expected a number, got nan"),
        ("train: {tie: true}", "c.yml:2:14: train.tie: expected one of all, false, got true"),
        (
            "train: {every: epohc}",
            "c.yml:2:16: train.every: expected an integer or epoch, got 'epohc'; did you mean 'epoch'?",
        ),
        ("train: {every: []}", "c.yml:2:16: train.every: expected an integer or epoch, got a list"),
        ("train: {extra: 3}", "c.yml:2:16: train.extra: expected a mapping, got 3"),
        ("train: {extra: {x: y}}", "c.yml:2:20: train.extra.x: expected a number, got 'y'"),
        (
            "train: {hooks: [ToyRNNDecoder]}",
            "c.yml:2:17: train.hooks.0.class: 'ToyRNNDecoder' is not a ToyAttention; "
            "known: ToyAdditiveAttention, ToyDotAttention",
        ),
        ("train: 3", "c.yml:2:8: train: expected a mapping, got 3"),
        ("data: {}", "c.yml:2:1: data: 'train' is missing"),
        ("data: {train: [{}]}", "c.yml:2:16: data.train.0: 'source' is missing"),
        (
            "data: {train: [{source: x, wieght: 2}]}",
            "c.yml:2:28: data.train.0.wieght: data.train.0 has no such key; did you mean 'weight'?",
        ),
        ("data: {train: 3}", "c.yml:2:15: data.train: expected a mapping or a list, got 3"),
        ("data: {train: {source: 3}}", "c.yml:2:24: data.train.source: expected a path, got 3"),
        ("data: {train: {source: ''}}", "c.yml:2:24: data.train.source: expected a path, got ''"),
        ("data: {train: {source: x}, columns: [1]}", "c.yml:2:37: data.columns: expected a list of 2, got 1"),
        (
            "data: {train: {source: $TOY_UNSET/x}}",
            "c.yml:2:24: data.train.source: the variable TOY_UNSET is not set; export TOY_UNSET=...",
        ),
    ],
)
def test_mistakes_in_sections(text: str, sentence: str) -> None:
    assert refused(MODEL + text) == sentence


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        (
            "os.system",
            "c.yml:1:8: model.class: 'os.system' is not a ToyDecoder; "
            "known: ToyRNNDecoder, ToyTransformerDecoder; list modules of your own in SEQLOOM_PLUGINS",
        ),
        (
            "{class: os.system}",
            "c.yml:1:16: model.class: 'os.system' is not a ToyDecoder; "
            "known: ToyRNNDecoder, ToyTransformerDecoder; list modules of your own in SEQLOOM_PLUGINS",
        ),
        (
            "{class: ToyRNDecoder}",
            "c.yml:1:16: model.class: no ToyDecoder is named 'ToyRNDecoder'; did you mean 'ToyRNNDecoder'?",
        ),
        (
            "{class: ToyDotAttention}",
            "c.yml:1:16: model.class: 'ToyDotAttention' is not a ToyDecoder; "
            "known: ToyRNNDecoder, ToyTransformerDecoder",
        ),
        ("{class: 3}", "c.yml:1:16: model.class: expected the name of a ToyDecoder, got 3"),
        ("{size: 3}", "c.yml:1:1: model: 'class' is missing; known: ToyRNNDecoder, ToyTransformerDecoder"),
        ("3", "c.yml:1:8: model: expected a ToyDecoder, got 3"),
        ("ToyRNNDecoder", "c.yml:1:1: model: ToyRNNDecoder needs 'size'"),
        (
            "{class: ToyRNNDecoder, size: 4, sise: 3}",
            "c.yml:1:40: model.sise: ToyRNNDecoder has no such parameter; did you mean 'size'?",
        ),
        (
            "{class: ToyRNNDecoder, size: 4, qqq: 3}",
            "c.yml:1:40: model.qqq: ToyRNNDecoder has no such parameter; known: attention, cell, dropout, size",
        ),
        (
            "{class: ToyRNNDecoder, size: 4, vocabulary_size: 3}",
            "c.yml:1:40: model.vocabulary_size: ToyRNNDecoder is given 'vocabulary_size' "
            "by what stands around it; leave it out",
        ),
        (
            "{class: ToyRNNDecoder, size: 4, cell: lst}",
            "c.yml:1:46: model.cell: expected one of gru, lstm, got 'lst'; did you mean 'lstm'?",
        ),
        (
            "{class: ToyRNNDecoder, size: 4, attention: 5}",
            "c.yml:1:51: model.attention: expected a ToyAttention or null, got 5",
        ),
        (
            "{class: ToyRNNDecoder, size: 4, attention: {class: ToyDotAttention, scale: x}}",
            "c.yml:1:83: model.attention.scale: expected a number, got 'x'",
        ),
        ("{class: ToyTransformerDecoder, layers: 0}", "c.yml:1:47: model.layers: expected at least 1, got 0"),
        ("{class: ToyTransformerDecoder, layers: 100}", "c.yml:1:47: model.layers: expected less than 100, got 100"),
    ],
)
def test_mistakes_in_parts(model: str, sentence: str) -> None:
    assert refused(f"model: {model}") == sentence


def test_every_mistake_is_reported_at_once_in_the_order_of_the_file() -> None:
    text = """\
model:
  class: ToyRNNDecoder
  sise: 32
  attention: {class: ToyAdditiveAttention, size: big}
trian: {}
train:
  steps: many
  compile: no
"""
    assert refused(text, "train.stesp=3").splitlines() == [
        "c.yml:1:1: model: ToyRNNDecoder needs 'size'",
        "c.yml:3:3: model.sise: ToyRNNDecoder has no such parameter; did you mean 'size'?",
        "c.yml:4:50: model.attention.size: expected an integer, got 'big'",
        "c.yml:5:1: trian: there is no section 'trian'; did you mean 'train'?",
        "c.yml:7:10: train.steps: expected an integer, got 'many'",
        "c.yml:8:12: train.compile: expected true or false, got 'no'",
        "train.stesp=3 (command line): train.stesp: train has no such key; did you mean 'steps'?",
    ]


def test_mistakes_on_the_command_line() -> None:
    assert refused(MODEL, "train.steps=many") == (
        "train.steps=many (command line): train.steps: expected an integer, got 'many'"
    )
    assert refused("train: {}") == "c.yml:1:1: the section 'model' is missing"


def test_a_constructor_that_refuses_says_where() -> None:
    model = built("train: {}\nmodel: {class: ToyRNNDecoder, size: 3}").model
    with pytest.raises(ConfigError, match="^c.yml:2:1: model: size must be even, got 3$"):
        model(vocabulary_size=5)
    with pytest.raises(ConfigError, match="^ToyRNNDecoder: size must be even, got 3$"):
        Spec(ToyRNNDecoder, {"size": 3})(vocabulary_size=5)


def test_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOY_DATA", "/data")
    monkeypatch.setenv("HOME", "/home/reader")
    (tmp_path / "c.yml").write_text(f"{MODEL}data:\n  train: {{source: x}}\n")

    def source(*overrides: str) -> Path:
        train = build(Toy, read(tmp_path / "c.yml", overrides)).data.train
        assert isinstance(train, Corpus)
        return train.source

    assert source() == tmp_path / "x"
    assert source("data.train.source=y") == Path.cwd() / "y"
    assert source("data.train.source=$TOY_DATA/y") == Path("/data/y")
    assert source("data.train.source=${TOY_DATA}y") == Path("/datay")
    assert source("data.train.source=${TOY_UNSET:-../shared}/y") == Path.cwd() / "../shared/y"
    assert source("data.train.source=~/y") == Path("/home/reader/y")
    assert source("data.train.source=/a$$b") == Path("/a$b")


def test_a_description_has_every_default_and_reads_back() -> None:
    toy = built(GOOD, "data.train.0.source=/a$$b")
    said = describe(toy)
    attention = {"class": "ToyAdditiveAttention", "size": 8}
    assert said["model"] == {
        "class": "ToyRNNDecoder",
        "size": 32,
        "attention": attention,
        "cell": "gru",
        "dropout": 0.0,
    }
    assert said["data"]["train"][0] == {"source": "/a$$b", "weight": 1.0} and said["train"]["name"] == "run"
    assert built(dump(said)) == toy
    assert describe(built("model: {class: toy-rnn, size: 2}"))["model"]["attention"] == {
        "class": "ToyDotAttention",
        "scale": 1.0,
    }
    with pytest.raises(TypeError, match="^a YAML file can't say <object"):
        describe(object())


@dataclass(frozen=True)
class Lower:
    """A section of a layer that knows nothing of Spec."""

    plain: Callable[..., ToyAttention] = ToyDotAttention
    bound: Callable[..., ToyAttention] = partial(ToyAdditiveAttention, size=4)
    sizes: list[int] = field(default_factory=lambda: [1])


@dataclass(frozen=True)
class Upper:
    lower: Lower = Lower()


def test_a_default_may_be_a_class_or_a_partial() -> None:
    upper = build(Upper, read_text("{}"))
    assert upper.lower == Lower(Spec(ToyDotAttention), Spec(ToyAdditiveAttention, {"size": 4}))
    assert upper == build(Upper, read_text("lower: {}")) == build(Upper, read_text(dump(describe(upper))))
    assert describe(upper) == describe(Upper())
    assert describe(upper)["lower"]["bound"] == {"class": "ToyAdditiveAttention", "size": 4}


def test_reading_and_checking_needs_no_torch() -> None:
    command = "import sys, seqloom.config; assert not {'torch', 'pydantic', 'ruamel'} & set(sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(Path(seqloom.config.__file__).parents[2])}
    subprocess.run([sys.executable, "-c", command], check=True, env=environment)


names = st.sampled_from(
    ["model", "train", "data", "class", "size", "source", "steps", "hooks", "attention", "layers", "x"]
)
leaves = st.sampled_from(
    [None, True, 0, 3, 2.5, "x", "ToyRNNDecoder", "ToyDotAttention", "os.system", "$TOY_UNSET", ""]
)
nodes = st.recursive(leaves, lambda n: st.lists(n, max_size=3) | st.dictionaries(names, n, max_size=4), max_leaves=10)


@given(st.dictionaries(names, nodes, min_size=1))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_tree_is_built_and_reads_back_or_gets_a_sentence_a_problem(node: dict[str, object]) -> None:
    try:
        toy = built(dump(node))
    except ConfigError as error:
        assert len(str(error).splitlines()) == len(error.problems) > 0
        assert all(line.startswith("c.yml:") for line in str(error).splitlines())
    else:
        assert built(dump(describe(toy))) == toy
