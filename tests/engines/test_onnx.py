"""Encoders leave for ONNX only if they say the same there, whatever the batch."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from seqloom import bundles, runs
from seqloom.config.root import read_config
from seqloom.data.batches import collate_source
from seqloom.decoders import RNNDecoder
from seqloom.encoders import Encoder, RNNEncoder, TransformerEncoder
from seqloom.errors import UsageError
from seqloom.layers.positions import RotaryPositions
from seqloom.models import EncoderDecoder, VocabularySizes
from seqloom.models.encoder_decoder import EmbeddingOptions

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

from seqloom.engines.onnx import FILE  # noqa: E402
from seqloom.exporting.onnx import export, write  # noqa: E402

TRANSFORMER = (
    "model={class: EncoderDecoder, embedding: {size: 16},"
    " encoder: {class: TransformerEncoder, layers: 1, heads: 2, feedforward: 32},"
    " decoder: {class: RNNDecoder, size: 16, attention: {class: AdditiveAttention, size: 16}}}"
)
SYMBOLS = 20


def model(encoder: type[Encoder], **options: object) -> EncoderDecoder:
    torch.manual_seed(0)
    built = EncoderDecoder(
        VocabularySizes(SYMBOLS, SYMBOLS, joint=False),
        encoder=partial(encoder, **options),
        decoder=partial(RNNDecoder, size=8),
        embedding=EmbeddingOptions(size=8),
    )
    return built.eval()


@pytest.mark.parametrize(
    "options",
    [{}, {"norm": "post"}, {"normalization": "rms", "positions": RotaryPositions}, {"key_value_heads": 1}],
    ids=str,
)
def test_a_transformer_says_the_same_there(options: dict[str, object], tmp_path: Path) -> None:
    write(model(TransformerEncoder, layers=1, heads=2, feedforward=16, **options), SYMBOLS, tmp_path / FILE)
    assert (tmp_path / FILE).stat().st_size > 1000  # `write` has compared it


def test_what_onnx_cannot_express_for_any_length_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as refused:
        write(model(RNNEncoder, size=8), SYMBOLS, tmp_path / FILE)
    assert str(refused.value) == "ONNX can't express the encoder RNNEncoder for sentences of any length"


@pytest.fixture(scope="module")
def exported(toy: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A run and its encoder."""
    run = tmp_path_factory.mktemp("runs") / "trained"
    runs.train(read_config(toy / "toy.yml", ["train.steps=3", TRANSFORMER]), run)
    return run, export(run)


@pytest.mark.parametrize("pooling", ["mean", "max", "summary"])
def test_sentences_become_the_vectors_that_our_encoder_makes(exported: tuple[Path, Path], pooling: str) -> None:
    run, place = exported
    sentences = ["a b c", "", "c", "never seen", "a b c a b c a b"]
    vectors = bundles.load_encoder(place, threads=1).embed(sentences, pooling=pooling)  # type: ignore[arg-type]
    trained = runs.Trained.read(run, "best")
    for sentence, vector in zip(sentences, vectors, strict=True):
        with torch.inference_mode():
            encoded = trained.model.encode(collate_source(trained.tokenizers.source.encode([sentence])))
        values = encoded.values[0]
        wanted = {"mean": values.mean(0), "max": values.amax(0), "summary": encoded.summary[0]}[pooling]
        np.testing.assert_allclose(vector, wanted.numpy(), atol=1e-4)


def test_an_encoder_is_no_translator(exported: tuple[Path, Path]) -> None:
    with pytest.raises(UsageError) as refused:
        bundles.load(exported[1])
    assert str(refused.value) == (
        f"{exported[1]} has an encoder alone, which can't translate: seqloom.bundles.load_encoder"
    )


def test_using_one_takes_no_pytorch(exported: tuple[Path, Path]) -> None:
    code = (
        "import sys, pathlib; from seqloom.bundles import load_encoder; "
        "load_encoder(pathlib.Path(sys.argv[1])).embed(['a']); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(exported[1])], check=True)
