"""Seqloom, from text: cutting it into pieces is part of what is measured, and so is joining them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from .base import How, Toolkit, Translate, in_batches


class Loaded(Toolkit):
    """RUN, in the file `run`, with the engine that runs everything."""

    def __init__(self, folder: Path):
        import seqloom

        self.translator = seqloom.load((folder / "run").read_text("utf8"), device="cpu")

    def prepared(self, how: How) -> Translate:
        options = replace(
            self.translator.options, beam_size=how.beam, length_penalty=how.penalty, max_length=how.most, n_best=1
        )

        def translate(lines: Sequence[str]) -> list[str]:
            found = self.translator.translate(lines, options)
            return [" ".join(one.alternatives[0].tokens) for one in found]

        return in_batches(translate, how.batch)
