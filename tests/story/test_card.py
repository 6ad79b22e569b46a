"""The model card says what is known, in words and in front matter that YAML reads, and nothing that isn't."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seqloom.config import read_text
from seqloom.story import Record, card
from seqloom.story.card import MARK

from .conftest import FACTS, SIGNATURES, START, trained, validated


def recorded(source: str = "train.en.xz", target: str = "train.de", name: str = "run", **facts: Any) -> Record:
    config = (
        f"data: {{train: {{source: '/data/{source}', target: '/data/{target}'}}}}\n"
        "model: {class: EncoderDecoder, encoder: {class: RNNEncoder}, decoder: {class: RNNDecoder}}\n"
        "train: {steps: 8, batch_tokens: 4096, accumulate: 2, optimizer: {class: Adam}}\n"
        "search: {max_source_length: 512}"
    )
    lines = [trained(1), validated(2, best=True, bleu=36.01678), validated(4, bleu=30.0)]
    return Record(Path("runs") / name, config, FACTS | facts, lines)


def front_matter(text: str) -> dict[str, Any]:
    _, matter, _ = text.split("---\n", 2)
    return read_text(matter).value


def test_the_front_matter_has_what_hubs_look_for() -> None:
    found = front_matter(card(recorded()))
    assert found["language"] == ["en", "de"]
    assert (found["library_name"], found["pipeline_tag"]) == ("seqloom", "translation")
    assert found["datasets"] == ["train.en.xz", "train.de"]
    assert found["metrics"] == ["bleu"]
    assert "license" not in found, "nobody said which"
    (model,) = found["model-index"]
    (result,) = model["results"]
    bleu = {"type": "bleu", "name": "BLEU", "value": 36.0168, "args": {"signature": SIGNATURES["bleu"]}}
    assert (model["name"], result["metrics"]) == ("run", [bleu])


@pytest.mark.parametrize(("source", "target"), [("train.source", "train.target"), ("a.txt", "b.txt"), ("en", "de")])
def test_languages_that_no_name_tells_are_left_out(source: str, target: str) -> None:
    found = front_matter(card(recorded(source, target)))
    assert "language" not in found and "pipeline_tag" not in found


def test_it_says_what_was_learnt_from_what_and_how_well() -> None:
    text = card(recorded())
    for part in (
        "with a `RNNEncoder` as its encoder and a `RNNDecoder` as its decoder, from en to de; 12,345 parameters.",
        "| BLEU | 36.02 | `nrefs:1\\|case:mixed\\|tok:13a\\|version:2.6.0` |",
        "| training | train.en.xz, train.de | 200 pairs |",
        "each on 2 batches of at most 4,096 tokens, padding included",
        "A processor, float32, seqloom 1.0, torch 2.13.0",
        "seqloom translate run < FILE",
        "the 200 pairs that it was trained on",
        "only the first 512 tokens are read",
    ):
        assert part in text, part
    assert "/data" not in text, "whose folders these were is nobody's business"


def test_nothing_in_a_name_means_anything(record: Callable[..., Record]) -> None:
    name = 'x"}: [<b>*`|no'
    text = card(recorded(source=f"{name}.en", name=name, starts=[START | {"device": name}]))
    assert front_matter(text)["datasets"][0] == f"{name}.en"
    assert front_matter(text)["model-index"][0]["name"] == name
    body = text.split(MARK)[1]
    assert "<b>" not in body.replace("seqloom translate 'x\"}: [<b>*`|no'", "").replace('"x\\"}: [<b>*`|no"', "")


def test_a_run_that_measured_nothing_has_a_card_without_scores(record: Callable[..., Record]) -> None:
    text = card(record(facts=None))
    assert "## Scores" not in text and "model-index" not in front_matter(text)
