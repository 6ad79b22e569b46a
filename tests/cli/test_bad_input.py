"""What is wrong in the data, the configuration, the arguments or the run is one clear sentence and no harm."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

LINES = 20


@pytest.fixture
def folder(seqloom: Any, toy: Path) -> Path:
    """The command's folder, with its own copy of the toy data and configuration."""
    return Path(shutil.copytree(toy, seqloom.folder, dirs_exist_ok=True))


def lines_of(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


def train(seqloom: Any, *changes: str, code: int = 1) -> str:
    """What a training that can't begin says; it leaves no directory."""
    said: str = seqloom.refused("train", "toy.yml", "-o", "run", *changes, code=code)
    assert not (seqloom.folder / "run").exists()
    return said


# Data


def test_a_missing_file(seqloom: Any, folder: Path) -> None:
    (folder / "train.source").rename(folder / "trian.source")
    near = f"{folder / 'train.source'}: no such file; did you mean '{folder / 'trian.source'}'?"
    assert train(seqloom) == f"seqloom: {near}\n"


def test_unequal_line_counts(seqloom: Any, folder: Path) -> None:
    target = folder / "train.target"
    target.write_bytes(b"".join(lines_of(target)[:-3]))
    assert train(seqloom) == (
        f"seqloom: {folder / 'train.source'} has 200 lines and {target} has 197: "
        "line i of one must translate line i of the other\n"
    )


def test_an_empty_file(seqloom: Any, folder: Path) -> None:
    (folder / "train.source").write_bytes(b"")
    assert train(seqloom) == f"seqloom: {folder / 'train.source'} is empty\n"


@pytest.fixture
def latin(folder: Path) -> Path:
    """The source file of the training data, with a line that is not UTF-8."""
    source = folder / "train.source"
    lines = lines_of(source)
    lines[56] = b"a \xff b\n"
    source.write_bytes(b"".join(lines))
    return source


def test_a_line_that_is_not_utf8(seqloom: Any, latin: Path) -> None:
    assert train(seqloom) == (
        f"seqloom: {latin}: line 57 is not UTF-8 (byte 0xff at column 3); "
        "convert the file (in training, data.errors: skip or replace will do)\n"
    )


@pytest.mark.parametrize("errors", ["skip", "replace"])
def test_a_line_that_is_not_utf8_can_be_skipped_or_replaced(seqloom: Any, latin: Path, errors: str) -> None:
    result = seqloom("train", "toy.yml", "-o", "run", "train.steps=2", f"data.errors={errors}")
    assert result.code == 0, result.err
    symbols = (seqloom.folder / "run" / "tokenizers" / "joint.model").read_text("utf8")
    assert ("\\ufffd" in symbols) == (errors == "replace")


def test_strange_lines_are_data_like_any_other(seqloom: Any, folder: Path) -> None:
    """A BOM, CRLF, NUL, U+2028, an empty line and a line of a megabyte."""
    strange = ["\ufeffa b\r", "a\0b", "a\u2028b", "", "x" * 1_000_000, "a " * 300]
    for side in ("source", "target"):
        path = folder / f"train.{side}"
        path.write_bytes("".join(f"{line}\n" for line in strange).encode() + path.read_bytes())
    result = seqloom("train", "toy.yml", "-o", "run", "train.steps=2", "data.max_length=100")
    assert result.code == 0, result.err
    assert "Traceback" not in result.err


# The configuration


def test_a_missing_configuration(seqloom: Any) -> None:
    said = "seqloom: no.yml: this file can't be read: No such file or directory\n"
    assert seqloom.refused("train", "no.yml", code=2) == said


@pytest.mark.parametrize(
    "line, sentence",
    [
        ("trian: {steps: 3}", "toy.yml:20:1: trian: there is no section 'trian'; did you mean 'train'?"),
        ("train: {steps: 1}", "toy.yml:20:1: train: this key is here twice, first in line 10"),
        ("seed: [", "toy.yml:21:1: this is not YAML: expected the node content, but found '<stream end>'"),
        ("task: os.system", None),
        ("task: !!python/object/apply:os.system [id]", None),
    ],
)
def test_a_faulty_file(seqloom: Any, folder: Path, line: str, sentence: str | None) -> None:
    path = folder / "toy.yml"
    path.write_text(f"{path.read_text()}{line}\n")
    said = train(seqloom, code=2)
    assert said == seqloom.refused("check", "toy.yml", code=2)
    expected = {
        "task: os.system": "toy.yml:20:7: task.class: 'os.system' is not a Task; known: TranslationTask; "
        "list modules of your own in SEQLOOM_PLUGINS",
        "task: !!python/object/apply:os.system [id]": "toy.yml:20:7: a tag such as "
        "'!!python/object/apply:os.system' has no meaning here",
    }
    assert said == f"seqloom: {sentence or expected[line]}\n"


@pytest.mark.parametrize(
    "change, sentence",
    [
        ("train.stesp=3", "train.stesp=3 (command line): train.stesp: train has no such key; did you mean 'steps'?"),
        ("train.steps=many", "train.steps=many (command line): train.steps: expected an integer, got 'many'"),
        ("train.steps=1.5", "train.steps=1.5 (command line): train.steps: expected an integer, got 1.5"),
        ("train.steps", "'train.steps' (command line): expected KEY=VALUE, such as train.steps=1000"),
        ("train.steps=0", "toy.yml:10:1: train: steps must be at least 1, got 0"),
        ("train.patience=0", "toy.yml:10:1: train: patience must be at least 1, or null, got 0"),
        ("train.keep_best=blue", "train.keep_best: validation has no 'blue'; did you mean 'bleu'?"),
        ("train.device=tpu", "there is no device 'tpu'; use cpu, cuda, cuda:0, ..., or auto"),
        ("train.device=meta", "there is no device 'meta'; use cpu, cuda, cuda:0, ..., or auto"),
        (
            "model.decoder.class=RNNDecodr",
            "model.decoder.class=RNNDecodr (command line): model.decoder.class: "
            "no Decoder is named 'RNNDecodr'; did you mean 'RNNDecoder'?",
        ),
        (
            "model.encoder.embedding=3",
            "model.encoder.embedding=3 (command line): model.encoder.embedding: "
            "RNNEncoder is given 'embedding' by what stands around it; leave it out",
        ),
        (
            "data.errors=ignore",
            "data.errors=ignore (command line): data.errors: expected one of stop, skip, replace, got 'ignore'",
        ),
    ],
)
def test_a_faulty_change(seqloom: Any, folder: Path, change: str, sentence: str) -> None:
    assert train(seqloom, change, code=2) == f"seqloom: {sentence}\n"


def test_every_mistake_is_named_at_once(seqloom: Any, folder: Path) -> None:
    assert train(seqloom, "train.stesp=3", "seed=x", code=2) == (
        "seqloom: seed=x (command line): seed: expected an integer, got 'x'\n"
        "seqloom: train.stesp=3 (command line): train.stesp: train has no such key; did you mean 'steps'?\n"
    )


def test_a_model_that_is_too_large(seqloom: Any, folder: Path) -> None:
    said = seqloom.refused("train", "toy.yml", "-o", "run", "model.encoder.size=1000000000000", code=1)
    assert said == "seqloom: there is not enough memory for this: make the model or the batches smaller\n"


# Arguments


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (["--beam-size", "0"], "beam_size must be at least 1, got 0"),
        (["--n-best", "0"], "n_best must be at least 1, got 0"),
        (["--n-best", "4"], "n_best can't exceed beam_size, got n_best 4 and beam_size 3"),
        (["--max-length", "0"], "max_length must be at least 1, got 0"),
        (["--device", "tpu"], "there is no device 'tpu'; use cpu, cuda, cuda:0, ..., or auto"),
        (["--checkpoint", "worst"], "a checkpoint is best, last or a step, got 'worst'"),
        (["--forbid", " "], "forbid has a phrase without a word; leave it out"),
    ],
)
def test_a_faulty_option(seqloom: Any, trained: Path, arguments: list[str], sentence: str) -> None:
    said = seqloom.refused("translate", trained, *arguments, code=2, input=b"a b\n")
    assert said == f"seqloom: {sentence}\n"


@pytest.mark.parametrize("more", [[], ["--interactive"]])
@pytest.mark.parametrize("option", ["--forbid-file", "--dictionary"])
def test_a_missing_file_is_named_before_anything_is_typed(
    seqloom: Any, trained: Path, option: str, more: list[str]
) -> None:
    said = seqloom.refused("translate", trained, option, "nowhere.txt", *more, code=1, input=b"")
    assert said == "seqloom: nowhere.txt: no such file\n"


def test_a_step_without_a_checkpoint(seqloom: Any, trained: Path) -> None:
    said = seqloom.refused("translate", trained, "--checkpoint", "7", code=1)
    assert said == f"seqloom: {trained / 'checkpoints'} has no checkpoint of step 7; it has 20, 30\n"


def test_what_is_not_a_run(seqloom: Any, folder: Path) -> None:
    (folder / "empty").mkdir()
    for command in (
        ["translate"],
        ["inspect", "a b"],
        ["evaluate", "--source", "valid.source", "--reference", "valid.target"],
    ):
        for place, reason in (("no", "there is no such directory"), ("empty", "it has no config.yml")):
            said = seqloom.refused(command[0], place, *command[1:], code=1)
            assert said == f"seqloom: {place} is not a run directory: {reason}\n"


# The run


def test_a_directory_in_use(seqloom: Any, folder: Path) -> None:
    first = seqloom.start("train", "toy.yml", "-o", "run", "train.steps=100000", "train.validate_every=100000")
    first.wait_for((folder / "run" / "metrics.jsonl").exists, "metrics")
    said = seqloom.refused("train", "toy.yml", "-o", "run", code=1)
    assert said == "seqloom: run is in use by another training; wait for it, or choose another\n"
    first.send(signal.SIGKILL)
    assert first.wait().code == -signal.SIGKILL
    step = max((folder / "run" / "checkpoints").glob("step-*"), default=None)
    result = seqloom("train", "toy.yml", "-o", "run", f"train.steps={int(step.name[5:]) + 2 if step else 2}")
    assert result.code == 0, result.err


def test_another_configuration(seqloom: Any, folder: Path, trained: Path) -> None:
    shutil.copytree(trained, folder / "run")
    said = seqloom.refused("train", "toy.yml", "-o", "run", "seed=2", code=2)
    assert "seqloom: run holds a run with another configuration: " in said
    assert said.endswith(
        "seed was 1 and is 2. Choose another directory, or go on with the configuration it was begun with\n"
    )


def test_a_truncated_checkpoint_is_named_and_the_one_before_used(seqloom: Any, trained: Path) -> None:
    run = Path(shutil.copytree(trained, seqloom.folder / "run"))
    newest = run / "checkpoints" / "step-00000030"
    weights = (newest / "model.safetensors").read_bytes()
    (newest / "model.safetensors").write_bytes(weights[:-100])
    result = seqloom("translate", "run", "--checkpoint", "last", input=b"a b\n")
    assert result.code == 0 and result.out.count("\n") == 1
    place, reason = "run/checkpoints/step-00000030", "model.safetensors doesn't have the SHA-256 of its manifest"
    assert result.err == f"seqloom: {place} is damaged: {reason}\nseqloom: Using the checkpoint of step 20 instead.\n"


def test_no_whole_checkpoint_is_left(seqloom: Any, trained: Path) -> None:
    run = Path(shutil.copytree(trained, seqloom.folder / "run"))
    for weights in run.rglob("model.safetensors"):
        weights.unlink()
    said = seqloom.refused("translate", "run", input=b"a b\n", code=1).splitlines()
    assert said[-1] == (
        "seqloom: run/checkpoints/step-00000030 is damaged: model.safetensors is missing; "
        "run/checkpoints has no whole checkpoint"
    )


def test_a_disk_that_is_full_keeps_the_checkpoint_before(seqloom: Any, folder: Path) -> None:
    assert seqloom("train", "toy.yml", "-o", "run", "train.steps=10").code == 0
    said = seqloom("train", "toy.yml", "-o", "run", "train.steps=20", file_limit=20_000)
    place = "run/checkpoints/step-00000020"
    assert said.code == 1
    assert said.err.splitlines()[-1] == (
        f"seqloom: {place} could not be written: File too large; the one before it stands"
    )
    assert [path.name for path in (folder / "run" / "checkpoints").iterdir()] == ["step-00000010"]
    result = seqloom("train", "toy.yml", "-o", "run", "train.steps=20")
    assert result.code == 0 and "going on from step 10" in result.err
