"""`seqloom train` and `seqloom convert` with google/seq2seq's files and flags."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from seqloom.config import read
from seqloom.runs import load

REPOSITORY = Path(__file__).parents[2]
RECIPES = REPOSITORY / "recipes" / "google-seq2seq"
MODELS = ("basic", "nmt_small", "nmt_medium", "nmt_large", "nmt_conv", "nmt_conv_small")
SHORT = ("--train_steps=2", "--batch_size", "4", "task.valid_most=3", "search.max_length=5", "train.log_every=1")


def text(toy: Path) -> tuple[object, ...]:
    """The flags that name the toy's text, in several spellings."""
    train = ("--train-source", toy / "train.source", "--train_target", toy / "train.target")
    return (*train, "--dev-source", toy / "valid.source", "--valid-target", toy / "valid.target")


@pytest.mark.parametrize("name", MODELS)
def test_a_model_takes_two_steps(seqloom: Any, toy: Path, name: str) -> None:
    result = seqloom("train", RECIPES / f"{name}.yml", *text(toy), *SHORT)
    assert (result.code, result.out) == (0, ""), result
    assert re.search(r"^trained 2 steps in [0-9:]+; best bleu [0-9.]+ at step 2$", result.err, re.M)
    run = seqloom.folder / "runs" / name
    assert (run / "config.yml").read_text("utf8").startswith("data:")
    assert len(load(run).translate(["a b c"])) == 1


@pytest.mark.parametrize("metrics", ["text_metrics_bpe", "text_metrics_sp"])
def test_files_about_training_and_metrics_are_merged(seqloom: Any, toy: Path, metrics: str) -> None:
    """The command of their tutorial, white space and all."""
    paths = f"\n  {RECIPES}/basic.yml,\n  {RECIPES}/train_seq2seq.yml,\n  {RECIPES}/{metrics}.yml"
    pipelines = [
        f"class: ParallelTextInputPipeline\nparams:\n  source_files:\n    - {toy}/{part}.source\n"
        f"  target_files:\n    - {toy}/{part}.target"
        for part in ("train", "valid")
    ]
    params = "\n  embedding.dim: 8\n  inference.beam_search.beam_width: 2"
    result = seqloom(
        *("train", f"--config_paths={paths}", "--model_params", params, "--input_pipeline_train", pipelines[0]),
        *("--input_pipeline_dev", pipelines[1], "--output_dir", "mine", "--train_steps", "2", "task.valid_most=3"),
    )
    assert result.code == 0, result
    assert [line for line in result.err.split("\n") if line.startswith("seqloom: /")] == [
        f"seqloom: {RECIPES}/{metrics}.yml:2:1: default_params: Ignoring config flag: there is none of this name",
        f"seqloom: {RECIPES}/train_seq2seq.yml:3:1: buckets: "
        "sentences of like length share a batch here in any case, so that no buckets are needed",
        f"seqloom: {RECIPES}/train_seq2seq.yml:7:5: hooks.2.class: SyncReplicasOptimizerHook: "
        "one process trains here, and waits for nobody",
    ]
    assert re.search("rouge_1_f [0-9.]+  rouge_1_r", result.err)
    config = read(seqloom.folder / "mine" / "config.yml").value
    assert [hook["class"] for hook in config["hooks"]] == ["ModelReport", "Trace", "Samples"]
    assert (config["model"]["embedding"]["size"], config["search"]["beam_size"]) == (8, 2)


def test_what_convert_prints_trains_like_the_file(seqloom: Any, toy: Path) -> None:
    printed = seqloom("convert", "google-seq2seq", RECIPES / "basic.yml", *text(toy), "--batch-size=4")
    assert (printed.code, printed.err) == (0, "")
    (seqloom.folder / "ours.yml").write_text(printed.out, "utf8")
    ours, theirs = (seqloom("check", *arguments) for arguments in (["ours.yml"], [RECIPES / "basic.yml", *text(toy)]))
    assert (ours.code, theirs.code) == (0, 0)
    assert ours.out.replace("batch_sentences: 4", "batch_sentences: 16") == theirs.out
    changes = ("train.steps=2", "task.valid_most=3", "search.max_length=5")
    assert seqloom("train", "ours.yml", *changes).code == 0
    assert seqloom("train", RECIPES / "basic.yml", *text(toy), *SHORT, "-o", "theirs").code == 0
    ours, theirs = (read(seqloom.folder / path / "config.yml").value for path in ("runs/ours", "theirs"))
    assert ours["model"] == theirs["model"] and ours["train"]["optimizer"] == theirs["train"]["optimizer"]


def test_the_same_command_goes_on(seqloom: Any, toy: Path) -> None:
    command = ("train", RECIPES / "basic.yml", *text(toy), *SHORT, "--output-dir", "run")
    assert seqloom(*command).code == 0
    again = seqloom(*command, "train.steps=3")
    assert again.code == 0 and again.err.startswith("going on from step 2: ")


def test_a_change_can_stand_where_the_file_would(seqloom: Any, toy: Path) -> None:
    flags = ("--config-paths", RECIPES / "basic.yml", *text(toy), *SHORT)
    result = seqloom("train", "model.embedding.size=8", *flags)
    assert result.code == 0, result
    assert read(seqloom.folder / "runs/basic/config.yml").value["model"]["embedding"]["size"] == 8


def test_convert_says_everything_that_is_wrong(seqloom: Any) -> None:
    (seqloom.folder / "a.yml").write_text("model: BasicSeq2Seq\nmodel_params: {encoder.class: x}\nbatch_size: a")
    assert seqloom.refused("convert", "google-seq2seq", "a.yml", code=2) == (
        "seqloom: a.yml:2:31: model_params.encoder.class: google/seq2seq has no encoder named 'x'; known: "
        "BidirectionalRNNEncoder, ConvEncoder, InceptionV3Encoder, PoolingEncoder, StackBidirectionalRNNEncoder, "
        "UnidirectionalRNNEncoder\n"
        "seqloom: a.yml:3:13: batch_size: expected an integer, got 'a'\n"
    )


def test_what_is_missing_is_said(seqloom: Any, toy: Path) -> None:
    assert seqloom.refused("train", code=2) == "seqloom: name a YAML file, or give --config-paths\n"
    assert seqloom.refused("train", RECIPES / "basic.yml", code=2) == (
        "seqloom: there is no text to train on: give --train-source FILE and --train-target FILE\n"
    )
    assert seqloom.refused("train", toy / "toy.yml", "--batch_size", 3, code=2) == (
        f"seqloom: {toy}/toy.yml is Seqloom's own: --batch_size is for files of google/seq2seq; write KEY=VALUE\n"
    )
    assert seqloom.refused("train", RECIPES / "basic.yml", *text(toy), code=2, TF_CONFIG="{}") == (
        "seqloom: TF_CONFIG asks for several machines, but one process trains here: unset it to go on\n"
    )


def test_the_quick_start_of_the_page_runs(seqloom: Any) -> None:
    """Its commands one after another, with two steps of training."""
    page = (REPOSITORY / "docs" / "google-seq2seq.md").read_text("utf8")
    (block,) = re.findall(r"## Quick start\n.*?```console\n(.*?)```", page, re.S)
    (seqloom.folder / "recipes").symlink_to(REPOSITORY / "recipes")
    for line in block.replace("\\\n", " ").strip().split("\n"):
        words = shlex.split(line.removeprefix("$ "))[1:]
        input_file = words[words.index("<") + 1] if "<" in words else None
        words = words[: words.index("<")] if "<" in words else words
        words = [re.sub("--train_steps=.*", "--train_steps=2", word) for word in words]
        given = (seqloom.folder / input_file).read_bytes() if input_file else b""
        result = seqloom(*words, *(["task.valid_most=3"] if words[0] == "train" else []), input=given)
        assert result.code == 0, (line, result)
