"""An export is compared with the model it stands for, proves itself when it is loaded, and is used only if it does."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqloom import bundles, loading, runs
from seqloom.cli.export import command
from seqloom.comparison import Comparison, compare, edits_between
from seqloom.config.root import read_config
from seqloom.engines.auto import AutoEngine
from seqloom.engines.native import NativeEngine
from seqloom.errors import CheckpointError, SeqloomError
from seqloom.proof import FILE

TRANSFORMER = (
    "model={class: EncoderDecoder, embedding: {size: 16, tie: all},"
    " encoder: {class: TransformerEncoder, layers: 1, heads: 2, feedforward: 32},"
    " decoder: {class: TransformerDecoder, layers: 1, heads: 2, feedforward: 32}}"
)
WORDS = st.lists(st.sampled_from("abc"), max_size=6)
SAME = Comparison(lines=1, equal=1, tokens=1, mean_difference=0, largest_difference=0, bleu=0, low=0, high=0)


@given(WORDS, WORDS, WORDS)
def test_edits_are_a_distance(one: list[str], two: list[str], three: list[str]) -> None:
    assert edits_between(one, two) == edits_between(two, one)
    assert (edits_between(one, two) == 0) == (one == two)
    assert edits_between(one, three) <= edits_between(one, two) + edits_between(two, three)
    assert abs(len(one) - len(two)) <= edits_between(one, two) <= max(len(one), len(two))


@pytest.mark.parametrize(
    ("comparison", "complaint"),
    [
        (SAME, None),
        (replace(SAME, tokens=0.8), "80.0% of its tokens are the native engine's, and 90.0% must be"),
        (replace(SAME, bleu=-0.6, low=-1, high=-0.1), "it loses 0.60 BLEU, and 0.5 may be lost"),
        (replace(SAME, bleu=-0.6, low=-1.3, high=0.1), None),  # that may be chance
        (replace(SAME, bleu=-0.4, low=-0.5, high=-0.3), None),
    ],
)
def test_too_little_is_a_sentence(comparison: Comparison, complaint: str | None) -> None:
    assert comparison.complaint(least_agreement=0.9, most_bleu_loss=0.5) == complaint


@pytest.fixture(scope="module")
def trained(toy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Transformer and its export, both proven; to be read, not changed."""
    pytest.importorskip("ctranslate2")
    from seqloom.exporting.ctranslate2 import export

    run = tmp_path_factory.mktemp("runs") / "trained"
    greedy = ["train.keep_best=loss", "train.steps=60", "search.beam_size=1", TRANSFORMER]
    runs.train(read_config(toy / "toy.yml", greedy), run)
    export(run, precision="float32")
    return run


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    """A copy of that run."""
    return Path(shutil.copytree(trained, tmp_path / "run"))


def exported(run: Path) -> Path:
    return run / "exports" / "ctranslate2-float32"


def test_an_export_in_float32_says_what_its_model_says(trained: Path) -> None:
    proof = bundles.Manifest.read(exported(trained)).proof
    assert proof is not None and proof["complaint"] is None
    assert (proof["equal"], proof["tokens"], proof["bleu"]) == (1, 1, 0)
    assert 0 <= proof["mean_difference"] <= proof["largest_difference"] < 0.1


def test_a_model_differs_from_itself_by_nothing_and_from_another_by_much(trained: Path, run: Path) -> None:
    native, other = runs.load(trained), runs.load(run, checkpoint="last")
    lines = ["a b c", "c a"]
    same = compare(native, runs.load(trained), lines, lines)
    assert (same.equal, same.tokens, same.largest_difference, same.low, same.high) == (1, 1, 0, 0, 0)
    assert isinstance(other.engine, NativeEngine)
    for parameter in other.engine.model.parameters():
        parameter.data = -parameter.data
    assert compare(native, other, lines, lines).tokens < 1


def test_only_what_is_proven_is_used_by_itself(run: Path) -> None:
    assert isinstance(loading.load(run).engine, AutoEngine)
    manifest = bundles.Manifest.read(exported(run))
    replace(manifest, proof=None).write(exported(run))
    assert isinstance(loading.load(run).engine, NativeEngine)
    assert loading.load(run, engine="ctranslate2").engine.name == "ctranslate2"


def test_an_export_that_makes_something_else_is_refused(run: Path) -> None:
    golden = json.loads((exported(run) / FILE).read_text("utf8"))
    golden["triples"][-1][1] = "something else"
    (exported(run) / FILE).write_text(json.dumps(golden), "utf8")
    manifest = bundles.Manifest.read(exported(run))
    with pytest.raises(CheckpointError, match="golden.json doesn't have the SHA-256 of its manifest"):
        bundles.load(exported(run))
    replace(manifest, files=bundles.sums(exported(run))).write(exported(run))
    with pytest.raises(CheckpointError, match="became 'something else' .* when it was made, and becomes "):
        bundles.load(exported(run))
    bundles.load(exported(run), verify=False)


def test_an_export_past_a_limit_is_made_and_named_but_not_used(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    poor = replace(SAME, tokens=0.5)
    monkeypatch.setattr("seqloom.exporting.ctranslate2.compare", lambda *_: poor)
    shutil.rmtree(run / "exports")
    asked = {"output": None, "precision": "int8", "checkpoint": "best", "positions": None, "lines": 5}
    with pytest.raises(SeqloomError) as refused:
        command(run=run, to="ctranslate2", **asked, least_agreement=None, most_bleu_loss=0.5)  # type: ignore[arg-type]
    place = run / "exports" / "ctranslate2-int8"
    assert str(refused.value) == (
        f"{place} is not proven: 50.0% of its tokens are the native engine's, and 75.0% must be. It is there, but "
        "--engine auto won't use it"
    )
    assert isinstance(loading.load(run).engine, NativeEngine)
    assert loading.load(place).engine.name == "ctranslate2"
