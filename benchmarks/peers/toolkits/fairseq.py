"""fairseq 0.12, as its command `fairseq-interactive` calls it."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .base import MORE, How, Toolkit, Translate, tensors

POSITIONS = 1024


class Loaded(Toolkit):
    """A Transformer from dict.txt, shape.json and model.npz."""

    sorts = True

    def __init__(self, folder: Path):
        from fairseq.data import Dictionary
        from fairseq.models.transformer import TransformerModel
        from fairseq.tasks.translation import TranslationConfig, TranslationTask

        self.dictionary = Dictionary.load(str(folder / "dict.txt"))
        self.task = TranslationTask(TranslationConfig(), self.dictionary, self.dictionary)
        self.model = TransformerModel.build_model(shape(json.loads((folder / "shape.json").read_text())), self.task)
        self.model.load_state_dict(tensors(folder / "model.npz"))
        self.model.make_generation_fast_(beamable_mm_beam_size=None, need_attn=False)

    def prepared(self, how: How) -> Translate:
        a, b = (1, MORE) if how.most is None else (0, how.most - 1)  # the end comes behind these
        wanted = {"beam": how.beam, "nbest": 1, "lenpen": how.power, "max_len_a": a, "max_len_b": b, "unkpen": 1e9}
        generator = self.task.build_generator([self.model], Namespace(**wanted))
        return lambda lines: self._translate(lines, how.batch, generator)

    def _translate(self, lines: Sequence[str], batch_size: int, generator: Any) -> list[str]:
        rows = [self.dictionary.encode_line(line, add_if_not_exist=False).long() for line in lines]
        data = self.task.build_dataset_for_inference(rows, [len(row) for row in rows])
        batches = self.task.get_batch_iterator(data, max_sentences=batch_size, max_positions=(POSITIONS, POSITIONS))
        found, start = [""] * len(lines), self.dictionary.bos()  # its own models start with the end of a sentence
        for batch in batches.next_epoch_itr(shuffle=False):
            ranked = generator.generate([self.model], batch, bos_token=start)
            for i, hypotheses in zip(batch["id"].tolist(), ranked, strict=True):
                found[i] = self.dictionary.string(hypotheses[0]["tokens"])
        return found


def shape(sizes: dict[str, int]) -> Namespace:
    """The architecture, as its command line would say it."""
    from fairseq.models.transformer import base_architecture

    found = Namespace(
        share_all_embeddings=True, max_source_positions=POSITIONS, max_target_positions=POSITIONS, dropout=0.0
    )
    for side in ("encoder", "decoder"):
        setattr(found, f"{side}_embed_dim", sizes["width"])
        setattr(found, f"{side}_ffn_embed_dim", sizes["inner"])
        setattr(found, f"{side}_attention_heads", sizes["heads"])
        setattr(found, f"{side}_layers", sizes[f"{side}_layers"])
        setattr(found, f"{side}_normalize_before", True)
        setattr(found, f"{side}_learned_pos", True)  # a table, in which ours are
    base_architecture(found)
    return found
