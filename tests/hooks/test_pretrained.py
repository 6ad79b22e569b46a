"""Vectors from a file stand in the rows of their symbols, and a faulty file is a sentence."""

from __future__ import annotations

import gzip
import logging
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from seqloom.errors import SeqloomError
from seqloom.hooks import PretrainedEmbeddings
from seqloom.train import Trainer

SIZE = 16  # of the toy's embeddings
VECTORS = {word: np.random.default_rng(ord(word[0])).normal(size=SIZE) for word in ("b", "a", "zebra", "ü")}
APART = "tokenizer={class: Words, joint: false}"


def text(vectors: dict[str, Any] = VECTORS) -> str:
    return "".join(f"{word} {' '.join(map(str, vector))}\n" for word, vector in vectors.items())


def table(trainer: Trainer, side: str) -> tuple[tuple[str, ...], torch.Tensor]:
    vocabulary, found = trainer.task.tables(trainer.model)[side]
    return vocabulary.symbols, found.weight.detach().clone()


@pytest.mark.parametrize("side", ["source", "target", "both"])
def test_symbols_get_their_vectors_and_the_others_stay(
    side: Any,
    trainer: Callable[..., Trainer],
    tmp_path: Path,
    begun: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    (path := tmp_path / "vectors.txt").write_text(text(), "utf8")
    standing = trainer(APART)
    fresh = {name: table(standing, name) for name in ("source", "target")}
    with caplog.at_level(logging.INFO):
        PretrainedEmbeddings(tmp_path, path=path, side=side)(standing, begun)
    sides = ["source", "target"] if side == "both" else [side]
    assert caplog.messages == [f"{path} has 2 of the 13 {name} symbols" for name in sides]
    for name, (symbols, before) in fresh.items():
        after = table(standing, name)[1]
        for row, symbol in enumerate(symbols):
            filled = name in sides and symbol in VECTORS
            wanted = torch.tensor(VECTORS[symbol], dtype=torch.float32) if filled else before[row]
            torch.testing.assert_close(after[row], wanted, rtol=1e-6, atol=0)


WRITTEN: dict[str, Callable[[Path], Any]] = {
    "word2vec.txt": lambda path: path.write_text(f"4 {SIZE}\n" + text().replace("\n", " \n"), "utf8"),
    "glove.txt.gz": lambda path: path.write_bytes(gzip.compress(text().encode())),
    "glove.txt.xz": lambda path: path.write_bytes(lzma.compress(text().encode())),
    "tabs.txt": lambda path: path.write_text(text().replace(" ", "\t"), "utf8"),
    # GloVe has words of several words; a word that is there twice keeps its first vector; not all files are UTF-8.
    "odd.txt": lambda path: path.write_bytes(
        (text() + text({"a b": range(SIZE), "b": range(SIZE), "\u00a0": range(SIZE)})).encode() + b"\xff 1 2 3\n\n"
    ),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_every_way_of_writing_is_read_alike(
    name: str, trainer: Callable[..., Trainer], tmp_path: Path, begun: dict[str, Any]
) -> None:
    WRITTEN[name](tmp_path / name)
    (plain := tmp_path / "plain.txt").write_text(text(), "utf8")
    tables = []
    for path in (tmp_path / name, plain):
        standing = trainer()
        hook = PretrainedEmbeddings(tmp_path, path=path)
        hook.check()
        hook(standing, begun)
        tables.append(table(standing, "source")[1])
    assert torch.equal(*tables)


@pytest.mark.parametrize(
    "written, sentence",
    [
        ("", "FILE: line 1 is not a word and its vector"),
        ("hello\n", "FILE: line 1 is not a word and its vector"),
        (
            "a 1 2\n",
            "PretrainedEmbeddings: the vectors in FILE have 2 numbers and the source embedding has 16; "
            "make the embedding as wide, or choose another file",
        ),
        (
            text({"zebra": range(SIZE)}),
            "PretrainedEmbeddings: FILE has none of the source symbols, such as 'A', 'B', 'C'; "
            "is it of another language or segmentation?",
        ),
        (text() + "c 1 2\n", "FILE: line 5 has 2 numbers and the first vector 16; is it cut short?"),
        (text({"a": "x" * SIZE}), "FILE: line 1 has something else than numbers behind its word"),
        (text({"a": [1] * (SIZE - 1) + ["nan"]}), "FILE: line 1 has a number that isn't finite"),
    ],
)
def test_a_file_that_can_not_be_used_is_a_sentence(
    written: str, sentence: str, trainer: Callable[..., Trainer], tmp_path: Path, begun: dict[str, Any]
) -> None:
    (path := tmp_path / "vectors.txt").write_text(written, "utf8")
    standing = trainer(APART)
    symbols, before = table(standing, "source")
    with pytest.raises(SeqloomError) as caught:
        PretrainedEmbeddings(tmp_path, path=path)(standing, begun)
    for letter, symbol in zip("ABC", symbols[-3:], strict=True):
        sentence = sentence.replace(f"'{letter}'", repr(symbol))
    assert str(caught.value) == sentence.replace("FILE", str(path))
    assert torch.equal(table(standing, "source")[1], before)
