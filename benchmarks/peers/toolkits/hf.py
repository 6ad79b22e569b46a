"""The `generate` of transformers.  Numbers, padding and batches are made here, without a tokenizer of its own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from .base import How, Toolkit, Translate, in_batches


class Loaded(Toolkit):
    """A model that `from_pretrained` reads, and symbols.json."""

    def __init__(self, folder: Path):
        from transformers import AutoModelForSeq2SeqLM

        self.model = AutoModelForSeq2SeqLM.from_pretrained(folder).eval()
        self.symbols: list[str] = json.loads((folder / "symbols.json").read_text("utf8"))
        self.ids = {symbol: i for i, symbol in enumerate(self.symbols)}

    def prepared(self, how: How) -> Translate:
        return in_batches(lambda lines: self._translate(lines, how), how.batch)

    def _translate(self, lines: Sequence[str], how: How) -> list[str]:
        import torch

        config, unknown = self.model.config, self.ids["<unk>"]
        rows = [[*(self.ids.get(piece, unknown) for piece in line.split()), config.eos_token_id] for line in lines]
        longest = max(map(len, rows))
        sources = torch.tensor([row + [config.pad_token_id] * (longest - len(row)) for row in rows])
        beams = {"num_beams": how.beam} | ({"length_penalty": how.power} if how.beam > 1 else {})
        with torch.inference_mode():
            targets = self.model.generate(
                input_ids=sources,
                attention_mask=sources.ne(config.pad_token_id).long(),
                max_new_tokens=how.limit(longest),
                do_sample=False,
                **beams,
            )
        silent = {config.decoder_start_token_id, config.eos_token_id, config.pad_token_id}
        return [" ".join(self.symbols[i] for i in row if i not in silent) for row in targets.tolist()]
