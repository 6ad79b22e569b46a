"""Tiny Transformers that have learnt nothing, and their exports."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from seqloom.decoders import TransformerDecoder
from seqloom.encoders import TransformerEncoder
from seqloom.engines.ctranslate2 import CTranslate2Engine, Exported
from seqloom.exporting.ctranslate2 import write
from seqloom.models import EncoderDecoder, VocabularySizes
from seqloom.models.encoder_decoder import EmbeddingOptions
from seqloom.tokenizers import Tokenizers, Words

SYMBOLS = 9
SIDE = {"layers": 2, "heads": 4, "feedforward": 12}


def words() -> Tokenizers:
    """A vocabulary of so many symbols, for both sides."""
    tokenizer = Words(joint=True)
    tokenizer.train([" ".join(f"w{i}" for i in range(SYMBOLS - 3))])
    return Tokenizers(tokenizer, tokenizer)


TOKENIZERS = words()


def model(encoder: dict[str, Any], decoder: dict[str, Any], *, seed: int = 1, **options: Any) -> EncoderDecoder:
    """A Transformer of these options that says something else of every sentence."""
    torch.manual_seed(seed)
    made = EncoderDecoder(
        VocabularySizes(SYMBOLS, SYMBOLS, joint=True),
        encoder=partial(TransformerEncoder, **(SIDE | encoder)),
        decoder=partial(TransformerDecoder, **(SIDE | decoder)),
        embedding=EmbeddingOptions(size=24, **options.pop("embedding", {})),
        **options,
    ).eval()
    for name, parameter in made.named_parameters():
        nn.init.normal_(parameter, mean=float("norm" in name and name.endswith("weight")), std=0.5)
    return made


def exported(made: nn.Module, directory: Path) -> CTranslate2Engine:
    """The model as CTranslate2 runs it, in float32."""
    directory.mkdir(exist_ok=True)
    about = write(made, TOKENIZERS, directory, precision="float32", positions=64)
    return CTranslate2Engine(Exported(directory=directory, fingerprint="", **about), TOKENIZERS, device="cpu")
