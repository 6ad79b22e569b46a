"""CTranslate2, called directly on the model that Seqloom exported."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .base import MORE, How, Toolkit, Translate, in_batches

SENTENCE = 32  # tokens that a batch has room for, for each of its sentences; half as many where they share a shortlist


class Loaded(Toolkit):
    """The export that the file `run` names."""

    sorts = True

    def __init__(self, folder: Path):
        import ctranslate2

        export = Path((folder / "run").read_text("utf8"))
        self.shortlist = (folder / "shortlist").exists()
        (model,) = export.rglob("model.bin")
        threads = int(os.environ["OMP_NUM_THREADS"])
        self.translator = ctranslate2.Translator(str(model.parent), device="cpu", intra_threads=threads)

    def prepared(self, how: How) -> Translate:
        def translate(lines: Sequence[str]) -> list[str]:
            return self._translate(lines, how)

        return in_batches(translate, 1) if how.batch == 1 else translate

    def _translate(self, lines: Sequence[str], how: How) -> list[str]:
        sources = [line.split() for line in lines]
        longest = max(map(len, sources)) + 1
        found: list[Any] = self.translator.translate_batch(
            sources,
            max_batch_size=SENTENCE * how.batch // (2 if self.shortlist else 1),
            batch_type="tokens",
            beam_size=how.beam,
            length_penalty=how.power,
            disable_unk=True,
            max_input_length=0,
            max_decoding_length=how.most or longest + MORE,
            use_vmap=self.shortlist,
        )
        return [" ".join(one.hypotheses[0]) for one in found]
