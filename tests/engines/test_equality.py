"""The same tokens from every engine, in batches of any size and on any number of cores: 1,000 real sentences.

The model is trained here for a minute, unless $SEQLOOM_RUN names the run of another Transformer from English.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from seqloom import bundles
from seqloom.comparison import compare
from seqloom.config.root import read_config
from seqloom.data.batches import collate_source
from seqloom.engines.native import NativeEngine
from seqloom.runs import load, train
from seqloom.translate import Translation, Translator

pytest.importorskip("ctranslate2")

from seqloom.exporting.ctranslate2 import export  # noqa: E402

pytestmark = [pytest.mark.long, pytest.mark.data("mt/multi30k"), pytest.mark.timeout(3600)]

RECIPE = Path(__file__).parent.parent.parent / "recipes" / "multi30k-transformer.yml"
SMALLER = ["tokenizer.size=3000", "model.embedding.size=128", "train.steps=400", "train.batch_tokens=1024"]
SMALLER += [f"model.{side}.{size}" for side in ("encoder", "decoder") for size in ("layers=2", "feedforward=512")]
SMALLER += [f"train.{often}=400" for often in ("validate_every", "checkpoint_every")]
SMALLER += ["train.threads=1", "train.doctor=false", "data.valid_lines=100"]
LINES = 1000
TIE = 1e-4  # log-probabilities of beginnings that engines may rank otherwise, adding numbers up in another order


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("equality")


@pytest.fixture
def run(seqloom_data: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    if named := os.environ.get("SEQLOOM_RUN"):
        return Path(named)
    monkeypatch.setenv("SEQLOOM_DATA", str(seqloom_data))
    if not (folder / "run").exists():
        train(read_config(RECIPE, SMALLER), folder / "run")
    return folder / "run"


def side(data: Path, language: str) -> list[str]:
    lines = (data / "mt" / "multi30k" / f"test_2016_flickr.{language}").read_text("utf8").splitlines()
    assert len(lines) == LINES
    return lines


def exported(run: Path, folder: Path, precision: str) -> Translator:
    """The run's model by CTranslate2; it is made where the run is not written to."""
    place = folder / precision
    return bundles.load(place if place.exists() else export(run, place, precision=precision)[0], device="cpu")


def tokens(translator: Translator, lines: list[str], beam_size: int, batch: int) -> list[list[str]]:
    """The best translation of each line, where so many lines are given at a time."""
    options = replace(translator.options, beam_size=beam_size, n_best=1)
    parts = [lines[start : start + batch] for start in range(0, len(lines), batch)]
    found: list[Translation] = [one for part in parts for one in translator.translate(part, options)]
    return [one.alternatives[0].tokens for one in found]


def tied(native: Translator, line: str, beam_size: int) -> bool:
    """Whether the last beginning that a beam kept and the first that it dropped were equally likely at some step."""
    options = replace(native.options, beam_size=beam_size, n_best=1)
    trace = native.translate([line], options, trace=True)[0].trace
    assert trace is not None
    gaps = []
    for step in trace.steps:
        kept, dropped = ([one.log_prob for one in step if one.fate == fate] for fate in ("kept", "pruned"))
        gaps += [min(kept) - max(dropped)] if kept and dropped else []
    return any(0 <= gap < TIE for gap in gaps)


@pytest.mark.parametrize("beam_size", [1, 5])
def test_tokens_are_the_same_whatever_the_engine_the_batch_and_the_cores(
    run: Path, seqloom_data: Path, folder: Path, beam_size: int
) -> None:
    lines, loaded = side(seqloom_data, "en"), load(run, device="cpu")
    assert isinstance(loaded.engine, NativeEngine)
    model = loaded.engine.model
    native, on_two = (
        Translator(NativeEngine(model, cores=cores), loaded.tokenizers, loaded.options) for cores in (1, 2)
    )
    fast = exported(run, folder, "float32")
    wanted, differing, strangers = tokens(native, lines, beam_size, 64), dict[str, int](), set[str]()
    assert len(set(map(tuple, wanted))) > LINES / 2, "a model that says the same of everything would prove nothing"
    several = (1, 7, 64, LINES)
    for name, translator, batches in [
        ("native", native, several),
        ("native, 2 cores", on_two, several[2:]),  # which share no small batch
        ("ctranslate2", fast, several),
    ]:
        for batch in batches:
            step = 10 if batch == 1 else 1
            found = tokens(translator, lines[::step], beam_size, batch)
            rows = zip(lines[::step], found, wanted[::step], strict=True)
            others = {line for line, one, other in rows if one != other}
            differing[f"{name}, {batch}"], strangers = len(others), strangers | others
    print(f"beam {beam_size}, of {LINES} lines others than the native engine in batches of 64: {differing}")
    assert all(tied(native, line, beam_size) for line in strangers), strangers
    assert len(strangers) <= LINES / 200, "ties are rare"


def test_int8_loses_half_a_bleu_at_most(run: Path, seqloom_data: Path, folder: Path) -> None:
    native = load(run, device="cpu")
    compared = compare(native, exported(run, folder, "int8"), side(seqloom_data, "en"), side(seqloom_data, "de"))
    print(f"int8: {compared}")
    assert compared.bleu > -0.5 and compared.tokens > 0.75


def test_an_encoder_in_onnx_says_the_same(run: Path, seqloom_data: Path, folder: Path) -> None:
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    from seqloom.exporting.onnx import export as export_onnx

    lines, loaded = side(seqloom_data, "en"), load(run, device="cpu")
    assert isinstance(loaded.engine, NativeEngine)
    vectors = bundles.load_encoder(export_onnx(run, folder / "onnx"), threads=1).embed(lines)
    sources = loaded.tokenizers.source.encode(lines)
    with torch.inference_mode():
        alone = [loaded.engine.model.encode(collate_source([source])).values[0].mean(0).numpy() for source in sources]
    largest = float(np.abs(vectors - np.stack(alone)).max())
    print(f"onnx: the means of {LINES} sentences' vectors differ by {largest:.1e} at most")
    assert largest < 1e-4
