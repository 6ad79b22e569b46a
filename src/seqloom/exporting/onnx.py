"""A run's encoder as an ONNX file, for embeddings anywhere."""

from __future__ import annotations

import contextlib
import io
import logging
import shutil
import warnings
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from seqloom import bundles
from seqloom.data.batches import collate_source
from seqloom.engines.onnx import FILE, INPUTS, OUTPUTS, session
from seqloom.errors import UsageError
from seqloom.exporting.directory import made
from seqloom.models import Model
from seqloom.runs import Trained
from seqloom.structures import Sequences

TOLERANCE = 1e-4
SHAPES = ((1, 1), (3, 7), (5, 2))  # of the batches that are compared


class _Encoder(nn.Module):
    def __init__(self, model: Model):
        super().__init__()
        self.model = model

    def forward(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        encoded = self.model.encode(Sequences(ids, mask))
        return encoded.keys, encoded.values, encoded.summary


def export(run: Path, directory: Path | None = None, *, checkpoint: str | int = "best", verify: bool = True) -> Path:
    """Write a run's encoder into a directory, by default RUN/exports/onnx-float32, and say where.

    It is compared with ours on batches of other shapes than it was made with.  Raises UsageError, naming the encoder,
    where ONNX can't express it for sentences of any length, and where a package is missing; and CheckpointError where,
    unless `verify` is False, the run doesn't make of its golden texts what it made of them when it was trained.
    """
    trained = Trained.read(run, checkpoint)
    if verify:
        trained.verify("cpu")
    config, tokenizers = trained.config, trained.tokenizers
    if tokenizers.source.of_files:
        raise UsageError(f"{run} reads files, not text: exports to ONNX are for encoders of text")
    directory = directory or run / "exports" / "onnx-float32"
    with made(directory) as scratch:
        write(trained.model, len(tokenizers.source.vocabulary), scratch / FILE)
        tokenizers.save(scratch / "tokenizers")
        shutil.copy(run / "config.yml", scratch)
        bundles.Manifest(
            engine="onnx",
            precision="float32",
            search=bundles.described(config.search),
            weights=trained.weights,
            model={},
            files=bundles.sums(scratch),
            versions={name: version(name) for name in ("seqloom", "torch", "onnx")},
        ).write(scratch)
    return directory


def write(model: Model, symbols: int, path: Path) -> None:
    """Write the encoder of a model of so many source symbols into a file.  Raises UsageError as `export` does."""
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError:
        raise UsageError("exporting to ONNX needs packages: pip install 'seqloom[onnx]'") from None
    encoder, name = _Encoder(model), type(getattr(model, "encoder", model)).__name__
    batch, length = torch.export.Dim("batch", min=1, max=2**16), torch.export.Dim("length", min=1, max=2**16)
    try:
        with _quiet():
            program = torch.onnx.export(
                encoder,
                tuple(_example(2, 5, symbols)),
                dynamo=True,
                input_names=list(INPUTS),
                output_names=list(OUTPUTS),
                dynamic_shapes=({0: batch, 1: length},) * 2,
                verbose=False,
            )
            assert program is not None
            program.save(str(path))
        _check(encoder, path, symbols)
    except Exception as error:  # of many kinds, from three packages
        raise UsageError(f"ONNX can't express the encoder {name} for sentences of any length") from error


def _check(encoder: _Encoder, path: Path, symbols: int) -> None:
    """Raises ValueError unless the file says what the encoder says."""
    running: Any = session(path)
    for rows, length in SHAPES:
        ids, mask = _example(rows, length, symbols)
        with torch.inference_mode():
            ours = [made.numpy() for made in encoder(ids, mask)]
        theirs = running.run(list(OUTPUTS), {"ids": ids.numpy(), "mask": mask.numpy()})
        for one, other in zip(ours, theirs, strict=True):
            real = mask.numpy()[:, :, None] if one.ndim == 3 else np.True_
            if one.shape != other.shape or not (np.abs(one - other) * real < TOLERANCE).all():
                raise ValueError("it says something else than the encoder")


def _example(rows: int, length: int, symbols: int) -> tuple[Tensor, Tensor]:
    """A batch of that shape with sentences of different lengths."""
    random = np.random.default_rng(1)
    sentences = [random.integers(symbols, size=max(length - 1 - row, 0)) for row in range(rows)]
    batch = collate_source(sentences)
    return batch.ids, batch.mask


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The exporter talks of packages that nobody asked for."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
