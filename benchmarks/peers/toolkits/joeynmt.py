"""JoeyNMT's `predict` on what it calls a stream.  It takes sentences as they come."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .base import How, Toolkit, Translate, tensors

SPECIAL = Namespace(
    unk_token="<unk>",
    pad_token="<pad>",
    bos_token="<s>",
    eos_token="</s>",
    sep_token=None,
    unk_id=0,
    pad_id=1,
    bos_id=2,
    eos_id=3,
    sep_id=None,
    lang_tags=[],
)
SIDES = ("en", "de")


class Loaded(Toolkit):
    """A model from symbols.json, shape.json and model.npz; without the last, one of random weights."""

    def __init__(self, folder: Path):
        from joeynmt.model import build_model
        from joeynmt.vocabulary import Vocabulary

        self.vocabulary = Vocabulary(json.loads((folder / "symbols.json").read_text("utf8")), SPECIAL)
        shape = json.loads((folder / "shape.json").read_text())
        config = shape.get("joeynmt") or transformer(shape)
        self.model = build_model(config, src_vocab=self.vocabulary, trg_vocab=self.vocabulary)
        if (folder / "model.npz").exists():
            self.model.load_state_dict(tensors(folder / "model.npz"))

    def prepared(self, how: How) -> Translate:
        return lambda lines: self._translate(lines, how)

    def _translate(self, lines: Sequence[str], how: How) -> list[str]:
        import torch
        from joeynmt.prediction import predict

        arguments = search(how, longest=1 + max(len(line.split()) for line in lines))
        off = {"device_type": "cpu", "enabled": False}
        data = self._stream(lines)
        found = predict(self.model, data, torch.device("cpu"), 0, args=arguments, autocast=off)[3]
        return [" ".join(piece for piece in row if piece != SPECIAL.eos_token) for row in found]

    def _stream(self, lines: Sequence[str]) -> Any:
        from joeynmt.datasets import StreamDataset
        from joeynmt.tokenizers import BasicTokenizer

        tokenizer = BasicTokenizer("word", special_symbols=SPECIAL)
        tokenizer.set_vocab(self.vocabulary)
        both = dict.fromkeys(SIDES, tokenizer)
        encoders = dict.fromkeys(SIDES, self.vocabulary.sentences_to_ids)
        data = StreamDataset("", *SIDES, has_prompt=dict.fromkeys(SIDES, False), tokenizer=both)
        data.sequence_encoder = encoders
        data.cache = [(line, None, None, None) for line in lines]  # `set_item` would count them all anew for each
        data.reset_indices()
        return data


def search(how: How, *, longest: int) -> Any:
    """Its settings of a search among sources of at most so many tokens."""
    from joeynmt.config import TestConfig

    wanted = {
        "beam_size": how.beam,
        "beam_alpha": how.penalty,
        "batch_size": how.batch,
        "batch_type": "sentence",
        "max_output_length": how.limit(longest),
        "min_output_length": 1,
        "n_best": 1,
        "generate_unk": False,
        "return_attention": False,
        "return_prob": "none",
        "repetition_penalty": -1,
        "no_repeat_ngram_size": -1,
    }
    return TestConfig(**(dict.fromkeys(TestConfig._fields) | wanted))


def transformer(shape: dict[str, int]) -> dict[str, Any]:
    """Its settings of a Transformer with the norms before the parts, and one table."""

    def side(layers: int) -> dict[str, Any]:
        return {
            "type": "transformer",
            "layer_norm": "pre",
            "num_layers": layers,
            "num_heads": shape["heads"],
            "hidden_size": shape["width"],
            "ff_size": shape["inner"],
            "dropout": 0.0,
            "embeddings": {"embedding_dim": shape["width"], "scale": True, "dropout": 0.0},
        }

    sides = {name: side(shape[f"{name}_layers"]) for name in ("encoder", "decoder")}
    return {"tied_embeddings": True, "tied_softmax": True} | sides
