"""Encoders as ONNX Runtime runs them: sentences in, vectors out.  Nothing here needs PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from seqloom.data.lengths import padded
from seqloom.errors import UsageError
from seqloom.tokenizers import Tokenizer

FILE = "encoder.onnx"
INPUTS, OUTPUTS = ("ids", "mask"), ("keys", "values", "summary")
BATCH = 64  # sentences
Pooling = Literal["mean", "max", "summary"]


class OnnxEncoder:
    """The encoder that `seqloom export --to onnx` wrote; `bundles.load_encoder` loads it."""

    def __init__(self, path: Path, tokenizer: Tokenizer, *, longest: int, threads: int | None = None):
        """Of sentences longer than `longest` tokens only the beginning counts.

        Raises UsageError where the package is missing.
        """
        self.tokenizer, self.longest, self._session = tokenizer, longest, session(path, threads)

    def encode(self, ids: NDArray[np.int64], mask: NDArray[np.bool_]) -> list[NDArray[np.float32]]:
        """Symbols [B, S] and where they are real -> keys [B, S, K], values [B, S, V] and summary [B, D]."""
        made: list[NDArray[np.float32]] = self._session.run(list(OUTPUTS), {"ids": ids, "mask": mask})
        return made

    def embed(self, sentences: Sequence[str], *, pooling: Pooling = "mean") -> NDArray[np.float32]:
        """A vector for each sentence, [N, D]: the mean or the largest of the values of all its positions, its end
        included, or the encoder's own summary.
        """
        if pooling not in get_args(Pooling):
            raise UsageError(f"pooling must be one of {', '.join(get_args(Pooling))}, got {pooling!r}")
        rows = [np.asarray(ids[: self.longest], np.int64) for ids in self.tokenizer.encode(list(sentences))]
        order = np.argsort([len(row) for row in rows], kind="stable")
        vectors: dict[int, NDArray[np.float32]] = {}
        for start in range(0, len(rows), BATCH):
            some = order[start : start + BATCH]
            ids, mask = padded([rows[i] for i in some], before=0)
            _, values, summary = self.encode(ids, mask)
            pooled = summary if pooling == "summary" else _pooled(values, mask, pooling)
            vectors |= zip(some.tolist(), pooled, strict=True)
        return np.stack([vectors[i] for i in range(len(rows))]) if rows else np.zeros((0, 0), np.float32)


def session(path: Path, threads: int | None = None) -> Any:
    """ONNX Runtime's own session of a file."""
    try:
        import onnxruntime
    except ImportError:
        raise UsageError("running ONNX files needs a package: pip install 'seqloom[onnx]'") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _pooled(values: NDArray[np.float32], mask: NDArray[np.bool_], pooling: Pooling) -> NDArray[np.float32]:
    real = mask[:, :, None]
    if pooling == "max":
        largest: NDArray[np.float32] = np.where(real, values, -np.inf).max(1)
        return largest
    mean: NDArray[np.float32] = (values * real).sum(1) / real.sum(1)
    return mean
