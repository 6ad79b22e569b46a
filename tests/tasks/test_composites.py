"""Encoders made of encoders, parts, factors and copying from a YAML file to a translation."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from seqloom.config.root import read_config
from seqloom.errors import UsageError
from seqloom.inspect.views import views_of
from seqloom.registry import ConfigError
from seqloom.runs import load, train

RNN = "{class: RNNEncoder, size: 8}"
TRANSFORMER = "{class: TransformerEncoder, layers: 1, heads: 2, feedforward: 16}"
DECODER = "{class: RNNDecoder, size: 8, attention: {class: AdditiveAttention, size: 8}}"
COPYING = f"{{class: CopyingDecoder, decoder: {DECODER}}}"
SETTING = "train: {steps: 2, batch_tokens: 64, validate_every: 2, precision: float32, device: cpu}"
CO_ATTENTION = "co_attention: ParallelCoAttention, size: 8"
# name: source's tokenizer, encoder, a source to translate, what its positions are called without the end
CASES = {
    "cascaded": (
        "Words",
        f"{{class: CascadedEncoder, first: {RNN}, second: {TRANSFORMER}, freeze_first: true}}",
        "a b",
        ["a", "b"],
    ),
    "columns": (
        "Words",
        f"{{class: MultiColumnEncoder, columns: [{RNN}, {TRANSFORMER}], size: 8}}",
        "a b",
        ["a", "b"],
    ),
    "hops": (
        "Words",
        f"{{class: SelfAttentiveEncoder, encoder: {RNN}, hops: 2, size: 4}}",
        "a b c",
        ["hop 1", "hop 2"],
    ),
    "queries": (
        "Words",
        f"{{class: QueryPoolingEncoder, encoder: {RNN}, queries: 2}}",
        "a b c",
        ["query 1", "query 2"],
    ),
    "words-and-sentences": (
        "{class: Parts, tokenizer: Words}",
        f"{{class: HierarchicalEncoder, words: {RNN}, sentences: {RNN}}}",
        "a ||| b c",
        ["a", "|||", "b", "c"],
    ),
    "two-sources": (
        "{class: Parts, tokenizer: Words, parts: 2}",
        f"{{class: TwoSourceEncoder, first: {RNN}, second: {TRANSFORMER}, {CO_ATTENTION}}}",
        "a ||| b c",
        ["a", "|||", "b", "c"],
    ),
    "factors": ("Factors", f"{{class: FactoredEncoder, encoder: {RNN}}}", "a|x b|y", ["a", "b"]),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Toy data: letters in two parts; with factors; and the letters to be written."""
    folder, draw = tmp_path_factory.mktemp("composites"), random.Random(1)
    lines = [[draw.choice("abcdefgh") for _ in range(draw.randint(2, 5))] for _ in range(60)]
    texts = {
        "target": [" ".join(line) for line in lines],
        "words": [" ".join(line) for line in lines],
        "parts": [f"{' '.join(line[:1])} ||| {' '.join(line[1:])}" for line in lines],
        "factors": [" ".join(f"{token}|{draw.choice('xy')}" for token in line) for line in lines],
    }
    for name, rows in texts.items():
        (folder / name).write_text("".join(f"{row}\n" for row in rows))
    return folder


def described(tokenizer: str, encoder: str, *, decoder: str = DECODER, more: str = "") -> str:
    source = "parts" if "Parts" in tokenizer else "factors" if tokenizer == "Factors" else "words"
    target = tokenizer if "joint" in tokenizer else f"{{source: {tokenizer}, target: Words}}"
    return f"""\
data: {{train: {{source: {source}, target: target}}}}
tokenizer: {target}
model: {{class: EncoderDecoder, embedding: {{size: 8}}, encoder: {encoder}, decoder: {decoder}{more}}}
{SETTING}
"""


@pytest.mark.parametrize("name", CASES)
def test_a_file_becomes_a_model_that_translates_and_shows_where_it_looked(folder: Path, name: str) -> None:
    tokenizer, encoder, text, labels = CASES[name]
    (folder / f"{name}.yml").write_text(described(tokenizer, encoder))
    train(read_config(folder / f"{name}.yml"), folder / f"{name}-run")
    (made,) = load(folder / f"{name}-run").translate([text], attention=True)
    assert made.source_tokens == labels
    (weights,) = [alternative.attention for alternative in made.alternatives]
    assert weights is not None and weights.shape[-1] in (len(labels), len(labels) + 1)
    (view,) = views_of(made)
    assert view.source[: len(labels)] == labels


@pytest.mark.parametrize("more", ["", ", reverse_source: true, repeat_source: 2"], ids=["plain", "twice-from-the-end"])
@pytest.mark.parametrize("encoder", [RNN, TRANSFORMER], ids=["rnn", "transformer"])
def test_what_is_copied_is_translated(folder: Path, encoder: str, more: str) -> None:
    path = folder / f"copying-{len(encoder)}{len(more)}"
    text = described("{class: Words, joint: true}", encoder, decoder=COPYING, more=more)
    path.with_suffix(".yml").write_text(text)
    train(read_config(path.with_suffix(".yml")), path)
    (made,) = load(path).translate(["a b"], attention=True)
    (view,) = views_of(made)
    assert view.source == ["a", "b", "</s>"]


def test_two_vocabularies_have_nothing_to_copy(folder: Path) -> None:
    path = folder / "separate.yml"
    path.write_text(described("Words", RNN, decoder=COPYING))
    with pytest.raises((ConfigError, UsageError), match="copying needs one vocabulary"):
        train(read_config(path), folder / "separate")


def test_a_text_without_its_second_part_is_a_sentence(folder: Path) -> None:
    tokenizer, encoder, *_ = CASES["two-sources"]
    (folder / "second.yml").write_text(described(tokenizer, encoder))
    train(read_config(folder / "second.yml"), folder / "second")
    with pytest.raises(Exception, match="2 parts are wanted, with [|]{3} between them, and there is 1 part: a b"):
        load(folder / "second").translate(["a b"])
