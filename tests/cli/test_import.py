"""`seqloom import` and `seqloom export --to marian-hf`: other toolkits' models in, and out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import foreign
import marian_files

from seqloom.runs import prove

TEXTS = foreign.sentences()[:5]


def test_a_model_of_marian_becomes_a_run_that_every_command_takes(seqloom: Any) -> None:
    marian_files.write(seqloom.folder / "marian")
    result = seqloom("import", "marian", "-o", "runs/theirs")
    assert (result.code, result.out) == (0, "")
    golden = "it has no golden texts yet: seqloom prove runs/theirs --input TEXT"
    assert result.err == f"seqloom: wrote runs/theirs, a model of marian; {golden}\n"
    (seqloom.folder / "in").write_text("".join(f"{text}\n" for text in TEXTS))
    (seqloom.folder / "out").write_text("the dog\n" * len(TEXTS))
    said = seqloom("translate", "runs/theirs", "--max-length", 9, "--input", "in")
    assert (said.code, len(said.out.splitlines())) == (0, len(TEXTS))
    scored = seqloom("evaluate", "runs/theirs", "--max-length", 9, "--source", "in", "--reference", "out")
    assert scored.code == 0 and "bleu" in scored.out.lower()
    shown = seqloom("inspect", "runs/theirs", TEXTS[0], "-o", "page.html")
    assert shown.code == 0 and (seqloom.folder / "page.html").exists()
    assert seqloom("prove", "runs/theirs", "--input", "in").code == 0
    again = seqloom.refused("import", "marian/model.npz", "--from", "marian", "-o", "runs/theirs", code=2)
    assert again == "seqloom: runs/theirs is there already; name a directory that isn't\n"


def test_a_run_that_was_imported_can_be_trained_on(seqloom: Any) -> None:
    """Its data are named in the configuration, and the first step goes on from the weights that were imported."""
    marian_files.write(seqloom.folder / "marian")
    seqloom("import", "marian", "-o", "run")
    for name in ("source", "target"):
        (seqloom.folder / "run" / f"train.{name}").write_text("".join(f"{text}\n" for text in foreign.sentences()))
    options = [
        "train.steps=2",
        "train.device=cpu",
        "train.validate_every=2",
        "train.doctor=false",
    ]
    result = seqloom("train", "run/config.yml", "-o", "run", *options)
    assert result.code == 0, result.err
    assert {path.name for path in (seqloom.folder / "run" / "checkpoints").iterdir()} >= {"step-00000002"}


def test_a_run_is_written_for_transformers_and_read_again(seqloom: Any) -> None:
    foreign.own_run(seqloom.folder / "run")
    result = seqloom("export", "run", "--to", "marian-hf", "-o", "hf")
    assert result.code == 0 and result.err.startswith("seqloom: wrote hf, "), result.err
    names = {"config.json", "generation_config.json", "model.safetensors", "source.spm", "target.spm", "vocab.json"}
    assert {path.name for path in (seqloom.folder / "hf").iterdir()} == {*names, "tokenizer_config.json"}
    assert seqloom("import", "hf", "-o", "again").code == 0
    (seqloom.folder / "in").write_text("".join(f"{text}\n" for text in TEXTS))
    before, after = (seqloom("translate", run, "--max-length", 9, "--input", "in") for run in ("run", "again"))
    assert (before.code, before.out) == (0, after.out)


def test_a_run_that_has_drifted_is_not_written(seqloom: Any) -> None:
    foreign.own_run(seqloom.folder / "run")
    prove(seqloom.folder / "run", TEXTS)
    file = seqloom.folder / "run" / "config.yml"
    file.write_text(file.read_text("utf8").replace("heads: 2", "heads: 4"), "utf8")
    said = seqloom.refused("export", "run", "--to", "marian-hf", "-o", "hf", code=1)
    assert "is not the model that it was" in said and not (seqloom.folder / "hf").exists()
    assert seqloom("export", "run", "--to", "marian-hf", "-o", "hf", "--no-verify").code == 0


def test_mistakes_are_one_sentence_each(seqloom: Any) -> None:
    folder: Path = seqloom.folder
    (folder / "empty").mkdir()
    (folder / "model.pt").write_bytes(b"")
    foreign.own_run(folder / "pre", norm="pre")
    (folder / "hf").mkdir()
    (folder / "hf" / "config.json").write_text(json.dumps({"model_type": "bart"}))
    for arguments, code, said in (
        (["import", "nowhere", "-o", "x"], 2, "nowhere: there is no such file or directory"),
        (
            ["import", "empty", "-o", "x"],
            2,
            "empty: it isn't clear whose model this is; say --from marian-hf, marian, ",
        ),
        (["import", "model.pt", "-o", "x"], 2, "model.pt is a pickle, which may hold a program as well as numbers"),
        (["import", "hf", "--from", "marian-hf", "-o", "x"], 2, 'hf/config.json: model_type is "bart", which Seqloom'),
        (["import", "empty", "--from", "marian", "-o", "x"], 1, "empty: a model is missing; it would be called"),
        (["export", "pre", "--to", "marian-hf", "-o", "x"], 2, "norm is \"pre\", which transformers' MarianMT can't"),
        (["export", "pre", "--to", "marian-hf", "--precision", "int8", "-o", "x"], 2, "--to marian-hf writes float32"),
    ):
        assert said in seqloom.refused(*arguments, code=code)
        assert not (folder / "x").exists()
