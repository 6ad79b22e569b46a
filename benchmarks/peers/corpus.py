"""One corpus for all: cut into pieces once, by Seqloom's tokenizer, and written in each toolkit's own format."""

from __future__ import annotations

import os
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from seqloom.config.root import read_config
from seqloom.data.text import read_lines
from seqloom.tokenizers import Tokenizer

BENCHMARKS = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("SEQLOOM_DATA") or BENCHMARKS.parent.parent / "shared" / "data") / "mt" / "multi30k"
SIDES = ("en", "de")


@dataclass(frozen=True)
class Corpus:
    """A folder with train.en, train.de, valid.en and valid.de, a line a sentence, pieces between spaces.

    pieces.txt has a piece a line, dict.txt the same with its count, fairseq's way; both without special symbols.
    """

    folder: Path

    @property
    def made(self) -> bool:
        return (self.folder / "complete").exists()

    def make(self, recipe: Path) -> None:
        """Cut the text of a recipe into the pieces of its own tokenizer, which is trained here."""
        self.folder.mkdir(parents=True, exist_ok=True)
        config = read_config(recipe, [])
        task = config.make_task()
        task.prepare(self.folder / "seqloom")
        tokenizer: Tokenizer = task.prepared().tokenizers.source
        counts: Counter[str] = Counter()
        for name, corpus in (("train", "train.{}.xz"), ("valid", "val.{}")):
            for side in SIDES:
                lines = list(pieces(tokenizer, DATA / corpus.format(side)))
                counts.update(chain.from_iterable(lines) if name == "train" else ())
                (self.folder / f"{name}.{side}").write_text("".join(" ".join(line) + "\n" for line in lines), "utf8")
        vocabulary = [piece for piece, _ in counts.most_common()]
        (self.folder / "pieces.txt").write_text("".join(f"{piece}\n" for piece in vocabulary), "utf8")
        (self.folder / "dict.txt").write_text("".join(f"{piece} {counts[piece]}\n" for piece in vocabulary), "utf8")
        (self.folder / "complete").touch()

    def binarise(self, environment: Path) -> Path:
        """What fairseq reads: its own program makes it of the pieces."""
        folder = self.folder / "fairseq"
        if not (folder / "complete").exists():
            dictionary = self.folder / "dict.txt"
            words = [environment / "bin" / "fairseq-preprocess", "--source-lang", SIDES[0], "--target-lang", SIDES[1]]
            words += ["--trainpref", self.folder / "train", "--validpref", self.folder / "valid", "--destdir", folder]
            words += ["--srcdict", dictionary, "--tgtdict", dictionary]
            subprocess.run([str(word) for word in words], check=True, capture_output=True)
            (folder / "complete").touch()
        return folder


def pieces(tokenizer: Tokenizer, path: Path) -> Iterator[list[str]]:
    """The pieces of each line of a file."""
    for ids in tokenizer.encode(list(read_lines(path))):
        yield tokenizer.tokens(ids)
