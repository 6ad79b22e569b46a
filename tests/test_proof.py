"""A model proves that it is the one it was, and one that isn't is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqloom import runs
from seqloom.averaging import average
from seqloom.checkpoint import Checkpoints, locked
from seqloom.cli.prove import command
from seqloom.config.root import read_config
from seqloom.errors import CheckpointError
from seqloom.exporting.ctranslate2 import export as to_ctranslate2
from seqloom.exporting.onnx import export as to_onnx
from seqloom.proof import FILE, UNKNOWN, Golden, changes, chosen_texts
from seqloom.tokenizers import Words


@pytest.fixture(scope="module")
def trained(toy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with checkpoints of steps 20 and 30; to be read, not changed."""
    run = tmp_path_factory.mktemp("runs") / "trained"
    runs.train(read_config(toy / "toy.yml", ["train.keep_best=loss"]), run)
    return run


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    """A copy of that run."""
    return Path(shutil.copytree(trained, tmp_path / "run"))


def golden_of(run: Path) -> Golden:
    golden = Golden.read(run / FILE)
    assert golden is not None
    return golden


def edit(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    said = json.loads(path.read_text("utf8"))
    change(said)
    path.write_text(json.dumps(said), "utf8")


@given(st.lists(st.text()), st.integers(0, 20))
def test_golden_texts_are_as_many_as_asked_for_and_of_all_lengths(texts: list[str], count: int) -> None:
    chosen = chosen_texts(texts, count)
    assert len(chosen) == min(count, 2 + len(set(texts)))
    assert chosen[:2] == ["", UNKNOWN][:count]
    assert set(chosen[2:]) <= set(texts)
    if count > 3 and texts:
        assert {min(map(len, texts)), max(map(len, texts))} <= {len(text) for text in chosen[2:]}


def test_a_finished_run_has_them_and_makes_them_again_when_it_is_loaded(run: Path) -> None:
    golden = golden_of(run)
    assert len(golden.triples) == 16
    assert [(triple.target, triple.score) for triple in golden.triples if not triple.source] == [("", 0.0)]
    made = runs.load(run).translate([triple.source for triple in golden.triples])
    assert [one.text for one in made] == [triple.target for triple in golden.triples]


def test_a_run_that_makes_something_else_is_refused_and_says_what(run: Path) -> None:
    before = golden_of(run).triples[-1]
    edit(run / FILE, lambda said: said["triples"][-1].__setitem__(1, "something else"))
    with pytest.raises(CheckpointError) as refused:
        runs.load(run)
    score = f"(score {before.score:.4f})"
    assert str(refused.value) == (
        f"{run} is not the model that it was: {before.source!r} became 'something else' {score} when it was made, and "
        f"becomes {before.target!r} {score} now; 1 of 16 golden texts changed. Find out what was exchanged, or leave "
        "the proof out (--no-verify)"
    )
    assert runs.load(run, verify=False).translate([before.source])[0].text == before.target


@pytest.mark.parametrize("what", ["tokenizer", "option", "score"])
def test_whatever_changes_what_a_model_says_is_found(run: Path, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if what == "tokenizer":
        encode = Words.encode
        monkeypatch.setattr(Words, "encode", lambda self, texts: [ids[::-1] for ids in encode(self, texts)])
    elif what == "option":
        config = (run / "config.yml").read_text("utf8")
        assert "reverse_source: false" in config
        (run / "config.yml").write_text(config.replace("reverse_source: false", "reverse_source: true"), "utf8")
    else:
        edit(run / FILE, lambda said: said["triples"][-1].__setitem__(2, said["triples"][-1][2] + 0.01))
    with pytest.raises(CheckpointError, match="is not the model that it was"):
        runs.load(run)


WRITERS: dict[str, Callable[..., Any]] = {
    "ctranslate2": to_ctranslate2,
    "onnx": to_onnx,
    "average": partial(average, last=1),
    "average of others": partial(average, steps=[20]),  # than the golden texts are of
}


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_what_has_drifted_is_neither_exported_nor_averaged(
    run: Path, tmp_path: Path, write: Callable[..., Any]
) -> None:
    config = (run / "config.yml").read_text("utf8")
    (run / "config.yml").write_text(config.replace("reverse_source: false", "reverse_source: true"), "utf8")
    with pytest.raises(CheckpointError, match=f"^{run} is not the model that it was"):
        write(run, tmp_path / "made")
    assert {path.name for path in tmp_path.iterdir()} == {"run"}
    if write not in (to_ctranslate2, to_onnx):  # which can't express such a model
        write(run, tmp_path / "made", verify=False)
        assert (tmp_path / "made").is_dir()


def test_other_versions_and_other_checkpoints_are_no_drift(run: Path) -> None:
    edit(run / FILE, lambda said: said["versions"].update(torch="0.1"))
    runs.load(run)
    edit(run / FILE, lambda said: [triple.__setitem__(1, "x") for triple in said["triples"]])
    with pytest.raises(CheckpointError):
        runs.load(run)
    runs.load(run, checkpoint=20)  # they are those of the best checkpoint, that of step 30


def with_other_weights(run: Path) -> None:
    """Have another training of the same shape in its place."""
    checkpoints = Checkpoints(run / "checkpoints")
    best = checkpoints.choose("best")
    scaled = {name: weight * 2 if weight.is_floating_point() else weight for name, weight in best.model.items()}
    shutil.rmtree(run / "checkpoints")
    checkpoints.save(replace(best, model=scaled), keep_last=1)


def test_weights_that_were_exchanged_are_told_once(run: Path, caplog: pytest.LogCaptureFixture) -> None:
    with_other_weights(run)
    runs.load(run)
    assert caplog.messages == [
        f"{run / FILE} is of other weights than the best checkpoint has now, so nothing proves that this model is the "
        f"one that was trained; where that is meant, seqloom prove {run} makes it anew."
    ]
    caplog.clear()
    command(run=run, input=None, count=4)
    runs.load(run)
    assert not caplog.messages


@pytest.mark.parametrize("how", [{"checkpoint": "last"}, {"checkpoint": 30}, {"verify": False}], ids=str)
def test_who_asks_for_certain_weights_or_no_proof_is_told_nothing(
    run: Path, caplog: pytest.LogCaptureFixture, how: dict[str, Any]
) -> None:
    with_other_weights(run)
    runs.load(run, **how)
    assert not caplog.messages


def test_a_training_under_way_has_newer_weights(run: Path, caplog: pytest.LogCaptureFixture) -> None:
    with_other_weights(run)
    with locked(run):
        runs.load(run)
    assert not caplog.messages


def test_golden_triples_can_be_left_out(toy: Path, tmp_path: Path) -> None:
    runs.train(read_config(toy / "toy.yml", ["train.golden=0", "train.steps=2"]), tmp_path / "run")
    assert not (tmp_path / "run" / FILE).exists()
    runs.load(tmp_path / "run")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 1}', '{"triples": 3}'])
def test_a_damaged_file_is_a_sentence(run: Path, text: str) -> None:
    (run / FILE).write_text(text)
    with pytest.raises(CheckpointError) as refused:
        runs.load(run)
    assert str(refused.value) == f"{run / FILE} is damaged: it holds no golden triples; remove it or make it anew"


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("search", {"beam_sise": 3}),
        ("search", {"beam_size": 0}),
        ("search", {"beam_size": "3"}),
        ("search", {"beam_size": 2.5}),
        ("search", {"max_length": [3]}),
        ("search", {"max_source_length": None}),
        ("search", {"dictionary": "words.tsv"}),
        ("search", []),
        ("triples", [["a", "b", "1.0"]]),
        ("triples", [["a", "b", None]]),
        ("triples", [["a", 3, 1.0]]),
        ("triples", [["a", "b"]]),
        ("weights", 3),
    ],
)
def test_what_a_file_can_not_mean_is_damage(run: Path, part: str, value: Any) -> None:
    edit(run / FILE, lambda said: said.update({part: value}))
    with pytest.raises(CheckpointError) as refused:
        runs.load(run)
    assert str(refused.value) == f"{run / FILE} is damaged: it holds no golden triples; remove it or make it anew"


def test_a_mean_of_checkpoints_has_golden_triples_of_its_own(run: Path, tmp_path: Path) -> None:
    average(run, tmp_path / "mean")
    before, after = golden_of(run), golden_of(tmp_path / "mean")
    assert before.weights != after.weights
    assert [triple.source for triple in before.triples] == [triple.source for triple in after.triples]
    assert changes(before, before) == 0
    assert 0 <= changes(before, after) <= 16
    runs.load(tmp_path / "mean")


def test_a_place_where_no_mean_can_be_written_is_named_itself(run: Path) -> None:
    with pytest.raises(CheckpointError, match="^/proc/mean could not be written: "):
        average(run, Path("/proc/mean"))


def test_a_run_without_golden_triples_gets_some(run: Path, toy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run / FILE).unlink()
    runs.load(run)
    command(run=run, input=None, count=5)
    assert capsys.readouterr().err == f"seqloom: wrote {run / FILE}, 5 golden texts\n"
    assert [triple.source for triple in golden_of(run).triples][:2] == ["", UNKNOWN]
    command(run=run, input=toy / "train.source", count=4)
    assert {triple.source for triple in golden_of(run).triples[2:]} <= set(
        (toy / "train.source").read_text().split("\n")
    )
