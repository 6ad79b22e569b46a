"""Seqloom, from text: cutting it into pieces is part of what is measured, and so is joining them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from .base import How, Toolkit, Translate, in_batches


class Loaded(Toolkit):
    """The run or export that the file `run` names, with the engine that the file `engine` names.

    If there is a recurrent.json, a model like that with the run's tokenizer.
    """

    def __init__(self, folder: Path):
        import seqloom

        run, engine = ((folder / name).read_text("utf8") for name in ("run", "engine"))
        precision = "bfloat16" if (folder / "bfloat16").exists() else None
        self.shortlist = (folder / "shortlist").exists()
        self.translator = seqloom.load(run, engine=engine, device="cpu", precision=precision)
        if (folder / "recurrent.json").exists():
            self.translator = recurrent(json.loads((folder / "recurrent.json").read_text()), self.translator)

    def prepared(self, how: How) -> Translate:
        options = replace(
            self.translator.options,
            beam_size=how.beam,
            length_penalty=how.penalty,
            max_length=how.most,
            n_best=1,
            shortlist=self.shortlist,
        )

        def translate(lines: Sequence[str]) -> list[str]:
            found = self.translator.translate(lines, options)
            return [" ".join(one.alternatives[0].tokens) for one in found]

        return translate if how.batch > 1 else in_batches(translate, 1)  # it makes batches by tokens


def recurrent(sizes: dict[str, int], like: Any) -> Any:
    """A translator with random weights and another's tokenizers."""
    import torch

    from seqloom.attention import AdditiveAttention
    from seqloom.decoders import InputFeedingDecoder
    from seqloom.encoders import RNNEncoder
    from seqloom.engines.native import NativeEngine
    from seqloom.engines.packed import laid_out
    from seqloom.models import EncoderDecoder, VocabularySizes
    from seqloom.models.encoder_decoder import EmbeddingOptions
    from seqloom.translate import Translator

    torch.manual_seed(1)
    symbols, size = len(like.tokenizers.source.vocabulary), sizes["size"]
    attention = partial(AdditiveAttention, size=size)
    model = EncoderDecoder(
        VocabularySizes(symbols, symbols, joint=True),
        embedding=EmbeddingOptions(size=sizes["embedding"], tie="sides"),
        encoder=partial(RNNEncoder, size=sizes["direction"]),
        decoder=partial(InputFeedingDecoder, size=size, attention=attention, feed="features"),
    )
    return Translator(
        NativeEngine(laid_out(model.eval()), device="cpu", cores=torch.get_num_threads()), like.tokenizers, like.options
    )
