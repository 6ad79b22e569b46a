"""Runs that translate together."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from seqloom.config.root import read_config
from seqloom.runs import load, train

LINES = b"a b c\n\nd e f g h\n"


@pytest.fixture(scope="session")
def others(toy: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Runs of other families on the same text, and one of another vocabulary."""
    folder, parts = tmp_path_factory.mktemp("others"), "layers: 1, heads: 2, feedforward: 16"
    changes = {
        "transformer": [
            f"model.encoder={{class: TransformerEncoder, {parts}}}",
            f"model.decoder={{class: TransformerDecoder, {parts}}}",
        ],
        "pooling": ["model.encoder={class: PoolingEncoder, stride: 3}"],
        "characters": ["tokenizer={class: Characters, joint: true}"],
    }
    for name, change in changes.items():
        train(read_config(toy / "toy.yml", [*change, "train.steps=3"]), folder / name)
    return {name: folder / name for name in changes}


def said(seqloom: Any, *arguments: object) -> list[dict[str, Any]]:
    result = seqloom("translate", *arguments, "--json", input=LINES)
    assert result.code == 0, result.err
    return [json.loads(line) for line in result.out.splitlines()]


def test_a_run_with_itself_says_what_it_says_alone(seqloom: Any, trained: Path) -> None:
    alone, together = said(seqloom, trained), said(seqloom, trained, "--ensemble", trained, trained)
    assert [row["target"] for row in together] == [row["target"] for row in alone]
    assert [row["score"] for row in together] == pytest.approx([row["score"] for row in alone], abs=1e-4)


def test_runs_of_any_family_translate_together(
    seqloom: Any, trained: Path, blind: Path, others: dict[str, Path]
) -> None:
    runs = [others["transformer"], others["pooling"], blind]
    rows = said(seqloom, trained, "--ensemble", *runs)
    assert [bool(row["target"]) for row in rows] == [True, False, True]
    assert rows != said(seqloom, trained)
    shown = load(trained, ensemble=runs).translate(["a b c"], attention=True)[0].alternatives[0].attention
    assert shown is not None and shown.shape[-1] == 4, "what looks at groups of tokens is left out"
    assert len(shown) == len(load(trained).translate(["a b"], attention=True)[0].alternatives[0].attention) + 1


def test_they_can_be_measured_and_looked_at(seqloom: Any, toy: Path, trained: Path, others: dict[str, Path]) -> None:
    files = ["--source", toy / "valid.source", "--reference", toy / "valid.target"]
    result = seqloom("evaluate", trained, "--ensemble", others["transformer"], *files, "--bootstrap", "0", "--json")
    assert result.code == 0 and "bleu" in json.loads(result.out)
    result = seqloom("inspect", trained, others["transformer"], "a b", "--ensemble", "-o", "page.json")
    assert result.code == 0, result.err
    (view, *_) = json.loads((seqloom.folder / "page.json").read_text())["views"]
    assert view["layers"] == ["layer 1", "layer 2"], "one of each model"


def test_what_can_not_translate_together_is_a_sentence(seqloom: Any, trained: Path, others: dict[str, Path]) -> None:
    letters = others["characters"]
    assert seqloom.refused("translate", trained, "--ensemble", letters, code=2) == (
        f"seqloom: {trained} and {letters} have different source tokenizers: models translate together only if they "
        "were trained with the same one, on the same text\n"
    )
    assert seqloom.refused("translate", trained, letters, code=2) == (
        "seqloom: 2 runs were named; say --ensemble if they are to translate together\n"
    )
    assert seqloom.refused("translate", trained, "--ensemble", code=2) == (
        "seqloom: --ensemble needs more than one run: RUN --ensemble RUN RUN\n"
    )
    assert "nowhere is not a run directory" in seqloom.refused("translate", trained, "--ensemble", "nowhere", code=1)


def test_one_with_the_same_vocabulary_elsewhere_is_welcome(seqloom: Any, trained: Path) -> None:
    copy = shutil.copytree(trained, seqloom.folder / "copy")
    assert len(said(seqloom, trained, "--ensemble", copy)) == 3
