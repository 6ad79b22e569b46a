"""`seqloom infer`: google/seq2seq's program for inference, and the pages of `seqloom beam-tree`."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import safetensors.torch

from seqloom.config.root import read_config
from seqloom.runs import train
from seqloom.tokenizers import Tokenizers
from seqloom.vocabulary import SPECIALS, UNK

LINES = ["a b c", "", "j i h g f", "a"]
PIPELINE = "{class: ParallelTextInputPipeline, params: {source_files: [text], source_delimiter: ' '}}"


@pytest.fixture(scope="session")
def unsure(toy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose model takes every token for unknown, until it must end."""
    run = tmp_path_factory.mktemp("unsure") / "run"
    train(read_config(toy / "toy.yml", ["train.steps=1"]), run)
    (checkpoint,) = (run / "checkpoints").iterdir()
    weights = safetensors.torch.load_file(checkpoint / "model.safetensors")
    weights["decoder.readout.bias"][UNK] = 1000.0
    safetensors.torch.save_file(weights, checkpoint / "model.safetensors")
    manifest = json.loads((checkpoint / "manifest.json").read_text())
    digest = hashlib.sha256((checkpoint / "model.safetensors").read_bytes()).hexdigest()
    manifest["sha256"]["model.safetensors"] = digest
    (checkpoint / "manifest.json").write_text(json.dumps(manifest))
    return run


def inferred(seqloom: Any, run: Path, tasks: str, *flags: str) -> Any:
    """The command over LINES, in a folder that may already have other files."""
    (seqloom.folder / "text").write_text("".join(f"{line}\n" for line in LINES))
    result = seqloom("infer", "--tasks", tasks, "--model_dir", run, "--input_pipeline", PIPELINE, *flags)
    assert result.code == 0, result.err
    return result


def translated(seqloom: Any, run: Path, *arguments: str) -> str:
    text = "".join(f"{line}\n" for line in LINES).encode()
    return str(seqloom("translate", run, "--no-guard", *arguments, input=text).out)


@pytest.mark.parametrize("task", ["DecodeText", "seq2seq.tasks.DecodeText", "seq2seq.tasks.decode_text.DecodeText"])
def test_text_is_decoded_as_by_translate(seqloom: Any, trained: Path, task: str) -> None:
    result = inferred(
        seqloom, trained, f"[{{class: {task}}}]", "--model-params", "{inference.beam_search.beam_width: 2}"
    )
    assert result.err == ""
    assert result.out == translated(seqloom, trained, "--beam-size", "2", "--checkpoint", "last")


def test_files_of_theirs_may_hold_the_flags(seqloom: Any, trained: Path) -> None:
    (seqloom.folder / "text").write_text("".join(f"{line}\n" for line in LINES))
    (seqloom.folder / "one.yml").write_text(
        f"model_dir: {trained}\ncheckpoint_path: {trained}/model.ckpt-20\nbatch_size: 8\nhooks: []\n"
        "tasks:\n  - class: DecodeText\n    params: {delimiter: ' ', postproc_fn: seq2seq.data.postproc.strip_bpe}\n"
    )
    (seqloom.folder / "two.yml").write_text(
        f"input_pipeline: {PIPELINE}\nmodel_params:\n  inference.beam_search.length_penalty_weight: 1.0\n"
        "  source.max_seq_len: 3\n  decoder.params: {max_decode_length: 4}\n"
    )
    result = seqloom("infer", "--config_path", "one.yml, two.yml")
    assert result.code == 0
    said = [
        "seqloom: one.yml:3:1: batch_size: sentences of like length are decoded together, so many as suit the machine",
        "seqloom: one.yml:4:1: hooks: this is no flag of inference, and makes no difference here",
    ]
    assert sorted(result.err.splitlines()) == said
    cut = "".join(f"{' '.join(line.split()[:3])}\n" for line in LINES).encode()
    arguments = ("--checkpoint", "20", "--length-penalty", "1", "--max-length", "4")
    assert result.out == seqloom("translate", trained, *arguments, input=cut).out


def test_unknown_words_are_copied_and_looked_up(seqloom: Any, unsure: Path) -> None:
    (seqloom.folder / "words.tsv").write_text("Qat\tkhat\t0.9\nQat\tshrub\t0.1\n")
    (seqloom.folder / "text").write_text("Qat\nŽižek\n")
    for width in ("1", "3"):
        params = ("--model-params", f"{{inference.beam_search.beam_width: {width}, inference.max_decode_length: 3}}")
        arguments = ("--model-dir", unsure, "--input-pipeline", PIPELINE, *params)
        plain = seqloom("infer", *arguments, "--tasks", "[{class: DecodeText, params: {unk_replace: true}}]")
        assert plain.out == "Qat Qat\nŽižek Žižek\n", plain.err
        task = "[{class: DecodeText, params: {unk_replace: true, unk_mapping: words.tsv}}]"
        assert seqloom("infer", *arguments, "--tasks", task).out == "khat khat\nŽižek Žižek\n"
    own = seqloom("translate", unsure, "-i", "text", "--dictionary", "words.tsv", "--max-length", "3")
    assert own.out == "khat khat\nŽižek Žižek\n"
    shown = seqloom("translate", unsure, "-i", "text", "--unknown", "show", "--max-length", "3")
    assert shown.out == "⁇ ⁇\n⁇ ⁇\n"


def test_attention_is_written_as_numbers_and_pictures(seqloom: Any, trained: Path) -> None:
    task = "[{class: DecodeText}, {class: DumpAttention, params: {output_dir: seen}}]"
    result = inferred(seqloom, trained, task)
    assert result.err == "seqloom: wrote seen/attention_scores.npz\n"
    folder = seqloom.folder / "seen"
    assert sorted(path.name for path in folder.glob("*.svg")) == ["00000.svg", "00002.svg", "00003.svg"]
    assert ElementTree.parse(folder / "00002.svg").getroot().tag.endswith("svg")
    with np.load(folder / "attention_scores.npz") as file:
        assert file.files == ["arr_0", "arr_1", "arr_2", "arr_3"]
        for number, (line, text) in enumerate(zip(LINES, result.out.split("\n"), strict=False)):
            scores = file[f"arr_{number}"]
            if not line:
                assert scores.shape == (0, 0)
                continue
            assert scores.shape == (len(text.split()) + 1, len(line.split()) + 1)
            assert scores.sum(1) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("flag", ["dump_plots: false", "dump_atention_no_plot: true", "dump_attention_no_plot: true"])
def test_attention_may_go_without_pictures(seqloom: Any, trained: Path, flag: str) -> None:
    inferred(seqloom, trained, f"[{{class: DumpAttention, params: {{output_dir: seen, {flag}}}}}]")
    assert [path.name for path in (seqloom.folder / "seen").iterdir()] == ["attention_scores.npz"]


def test_beams_are_written_and_become_pages(seqloom: Any, trained: Path) -> None:
    inferred(seqloom, trained, "[{class: DumpBeams, params: {file: beams.npz}}]")
    with np.load(seqloom.folder / "beams.npz") as file:
        assert sorted(file.files) == ["beam_parent_ids", "end_id", "log_probs", "predicted_ids", "scores"]
        assert len(file["predicted_ids"]) == len(LINES)
    symbols = Tokenizers.load(trained / "tokenizers").target.vocabulary.symbols[len(SPECIALS) :]
    (seqloom.folder / "vocabulary").write_text("".join(f"{symbol}\t1\n" for symbol in symbols))
    made = seqloom("beam-tree", "beams.npz", "--vocab", "vocabulary", "-o", "trees")
    assert (made.code, made.err) == (0, "")
    assert made.out == "trees/000000.html\ntrees/000002.html\ntrees/000003.html\n"
    page = (seqloom.folder / "trees" / "000002.html").read_text("utf8")
    best = re.findall(r'<span dir="auto">(.*?)</span>', page)[0]
    wanted = translated(seqloom, trained, "--checkpoint", "last").split("\n")[2]
    assert best == f"{wanted} SEQUENCE_END"
    bare = seqloom("beam-tree", "-d", "beams.npz", "--output_dir", "bare")
    assert (bare.code, bare.out) == (0, made.out.replace("trees/", "bare/"))
    page = (seqloom.folder / "bare" / "000002.html").read_text("utf8")
    ids = [symbols.index(token) for token in wanted.split()] + [len(symbols) + 2]
    assert re.findall(r'<span dir="auto">(.*?)</span>', page)[0] == " ".join(map(str, ids))


@pytest.mark.parametrize(
    "flags, code, sentences",
    [
        (
            [],
            2,
            [
                "--model_dir is missing: name a run directory of Seqloom",
                "--input_pipeline is missing: write {class: ParallelTextInputPipeline, params: ...}",
                "--tasks is missing: write [{class: DecodeText}]",
            ],
        ),
        (
            ["--tasks", "[{class: Decode}]"],
            2,
            ["google/seq2seq has no task named 'Decode'; did you mean 'DecodeText'?"],
        ),
        (["--tasks", "[{class: DumpBeams}]"], 2, ["DumpBeams needs file, the npz file to write"]),
        (["--tasks", "[{class: DumpAttention}]"], 2, ["DumpAttention needs output_dir, the folder to write to"]),
        (
            ["--tasks", "[{class: DecodeText}, {class: DecodeText}]"],
            2,
            ["DecodeText is there twice; one of it prints what is decoded"],
        ),
        (
            ["--input-pipeline", "{class: TFRecordInputPipeline, params: {files: [a]}}"],
            2,
            [
                "TFRecordInputPipeline: its files can't be read; write its sources as lines of a text file, and name "
                "that in source_files of a ParallelTextInputPipeline"
            ],
        ),
        (
            ["--input-pipeline", "{class: ParallelTextInputPipeline}"],
            2,
            ["source_files names no file to read"],
        ),
        (
            ["--model-params", "{embedding.dim: 8, decoder.params: {rnn_cell: {num_layers: 2}}}"],
            2,
            [
                "embedding.dim: it belongs to the trained model and can't be changed any more; leave it out",
                "decoder.params.rnn_cell: it belongs to the trained model and can't be changed any more; leave it out",
            ],
        ),
        (
            ["--model-params", "{inference.beam_search.beam_with: 3}"],
            2,
            [
                "a model of google/seq2seq has no such parameter; did you mean 'inference.beam_search.beam_width'?",
            ],
        ),
        (
            ["--checkpoint-path", "model.ckpt"],
            2,
            ["expected best, last, or a step or a path that ends in one, got 'model.ckpt'"],
        ),
        (
            ["--tasks", "[{class: DecodeText, params: {delimiter: '|'}}]"],
            2,
            ["delimiter is '|', but RUN was trained with ' '; leave it out"],
        ),
        (
            ["--tasks", "[{class: DecodeText, params: {postproc_fn: my.function}}]"],
            2,
            ["expected strip_bpe or decode_sentencepiece, got 'my.function'"],
        ),
    ],
)
def test_what_can_not_be_done_is_said(
    seqloom: Any, trained: Path, flags: list[str], code: int, sentences: list[str]
) -> None:
    (seqloom.folder / "text").write_text("a\n")
    usual = ["--model-dir", str(trained), "--input-pipeline", PIPELINE, "--tasks", "[{class: DecodeText}]"]
    result = seqloom("infer", *(usual if flags else []), *flags)
    assert (result.code, result.out) == (code, "")
    said = result.err.replace(str(trained), "RUN").splitlines()
    assert len(said) == len(sentences)
    for sentence in sentences:
        assert any(line.startswith("seqloom: ") and line.endswith(sentence) for line in said), said


def test_a_model_without_attention_can_neither_copy_nor_show_it(seqloom: Any, blind: Path) -> None:
    (seqloom.folder / "text").write_text("a b\n")
    usual = ["--model-dir", blind, "--input-pipeline", PIPELINE, "--tasks"]
    task = "[{class: DecodeText, params: {unk_replace: true}}]"
    assert seqloom.refused("infer", *usual, task, code=2) == (
        "seqloom: unknown: copy needs attention over the source, and this model has none; choose never or show\n"
    )
    task = "[{class: DumpAttention, params: {output_dir: seen}}]"
    assert seqloom.refused("infer", *usual, task, code=1) == (
        f"seqloom: DumpAttention needs attention over the source, and the model in {blind} has none\n"
    )


def test_a_file_that_has_no_beams_is_named(seqloom: Any) -> None:
    np.savez(seqloom.folder / "other.npz", arr=np.zeros(3))
    (seqloom.folder / "text").write_text("a\n")
    assert seqloom.refused("beam-tree", "beams.npz", "-o", "trees", code=1) == "seqloom: beams.npz: no such file\n"
    assert seqloom.refused("beam-tree", "other.npz", "-o", "trees", code=1) == (
        "seqloom: other.npz: it has no array predicted_ids; "
        "a file of beams has predicted_ids, beam_parent_ids, scores\n"
    )
    assert seqloom.refused("beam-tree", "text", "-o", "trees", code=1) == (
        "seqloom: text is not a file of beams that can be read; if its arrays are pickled objects, as NumPy makes of "
        "searches of different lengths, write it again with seqloom infer\n"
    )
    assert seqloom.refused("beam-tree", "other.npz", code=2) == (
        "seqloom: name one file of beams, and a directory for the pages with -o\n"
    )
