"""What tests of other toolkits' models share: runs made of them, random sentences, and numbers to compare."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import sentencepiece
import torch
from torch import Tensor

from seqloom.adoption import adopt
from seqloom.compat.foreign import Foreign
from seqloom.config import build, read_text
from seqloom.config.root import Config
from seqloom.data.batches import collate_source
from seqloom.runs import load
from seqloom.tasks.translation import build_model
from seqloom.tokenizers import SentencePiece, Tokenizer, Tokenizers
from seqloom.translate import Translator
from seqloom.vocabulary import BOS

WORDS = "the a small big dog cat man woman girl runs sits jumps in on near water street snow two red blue".split()
COUNT = 100
PART = {"layers": 1, "heads": 2, "feedforward": 24, "norm": "post", "dropout": 0.1}


def sentences(count: int = COUNT, words: Sequence[str] = WORDS) -> list[str]:
    """Random sentences of these words, of 1 to 12 of them, some with a word that nobody has seen."""
    draw = random.Random(1)
    return [" ".join(draw.choice([*words, "Qx"]) for _ in range(draw.randint(1, 12))) for _ in range(count)]


def sentencepiece_model(size: int = 45, **options: object) -> bytes:
    """A SentencePiece model of the words."""
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences(words=WORDS)), model_writer=written, vocab_size=size, minloglevel=2, **options
    )
    return written.getvalue()


def pieces_of(model: bytes) -> list[str]:
    """The pieces of a SentencePiece model by their numbers."""
    processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    return [processor.id_to_piece(i) for i in range(processor.get_piece_size())]


def adopted(found: Foreign, run: Path) -> Translator:
    """What was read as a run, loaded."""
    adopt(run, model=found.model, search=found.search, weights=found.weights, tokenizers=found.tokenizers)
    return load(run)


@torch.inference_mode()
def logits(translator: Translator, sources: Sequence[Sequence[int]], targets: Tensor) -> Tensor:
    """What our model says behind the start and each target token of rows [N, T] of one length, [N, T + 1, V].

    In float64, so that no difference is one of rounding.
    """
    model = deepcopy(translator.engine.model).double()  # type: ignore[attr-defined]
    begun = torch.cat([torch.full_like(targets[:, :1], BOS), targets], 1)
    decoder = model.decoder
    output, _ = decoder(begun, decoder.start(model.encode(collate_source(sources))))
    return decoder.project(output.features)  # type: ignore[no-any-return]


def randomize(module: torch.nn.Module, *, scale: float = 0.35) -> None:
    """Weights that are far from those of the start, biases and norms too, the same each time."""
    generator = torch.Generator().manual_seed(1)
    for name, weight in module.named_parameters():
        if weight.requires_grad:
            shift = 1.0 if "norm" in name and name.endswith("weight") else 0.0
            weight.data = shift + scale * torch.randn(weight.shape, generator=generator)


def own_run(directory: Path, *, tie: str = "all", tokenizer: Tokenizer | None = None, **part: Any) -> Translator:
    """A run of ours with random weights: a Transformer that MarianMT can express, but for what `part` says."""
    found = tokenizer or SentencePiece(size=45, joint=tie != "none")
    found.train(sentences())
    tokenizers = Tokenizers(found, found)
    if tie == "none":
        other = SentencePiece(size=40)
        other.train(sentences())
        tokenizers = Tokenizers(found, other)
    sides = {side: {"class": f"Transformer{side.capitalize()}", **PART, **part} for side in ("encoder", "decoder")}
    model = {"class": "EncoderDecoder", "embedding": {"size": 16, "tie": tie}, **sides}
    config = build(Config, read_text("data: {train: {tsv: x}}", [f"model={json.dumps(model)}"]))
    network = build_model(config.model, tokenizers)
    randomize(network)
    weights = dict(network.named_parameters())
    search = {"beam_size": 3, "length_penalty_kind": "average", "length_penalty": 0.8}
    adopt(
        directory,
        model=model,
        search=search,
        weights={n: w.detach() for n, w in weights.items()},
        tokenizers=tokenizers,
    )
    return load(directory)
