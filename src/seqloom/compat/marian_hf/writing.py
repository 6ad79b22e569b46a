"""A run as a directory that transformers loads: MarianMTModel and MarianTokenizer."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from seqloom.checkpoint import Checkpoints
from seqloom.compat.foreign import Options
from seqloom.compat.marian_hf.names import EPSILON, NAMES, PAD
from seqloom.compat.transformers import their_layers
from seqloom.config import describe
from seqloom.config.root import read_config
from seqloom.errors import CheckpointError, UsageError
from seqloom.layers.positions import sinusoids
from seqloom.tokenizers import PieceList, SentencePiece, Tokenizer, Tokenizers
from seqloom.vocabulary import BOS, EOS, UNK

WHO = "transformers' MarianMT"
POSITIONS = 1024  # that have a sinusoid, where a run's search doesn't need more
ACTIVATIONS = {"relu": "relu", "gelu": "gelu", "swish": "swish"}


def write(run: Path, directory: Path, *, checkpoint: str = "best") -> None:
    """Make `directory` of a run's model, tokenizers and search options.

    Its pad symbol is our start, as targets begin with pad there.  Raises UsageError, with the option's name, for what
    MarianMT can't express, and if the directory exists; CheckpointError where there is no run, or no place to write to.
    """
    if directory.exists():
        raise UsageError(f"{directory} is there already; name a directory that isn't")
    whole = describe(read_config(run / "config.yml"))
    model = Options(run / "config.yml", whole["model"], by=WHO)
    tokenizers = Tokenizers.load(run / "tokenizers")
    pieces = {side: _model_of(run, tokenizer) for side, tokenizer in _sides(tokenizers).items()}
    sides = {side: _checked(model, side) for side in ("encoder", "decoder")}
    weights = Checkpoints(run / "checkpoints").choose(checkpoint).model
    tensors = _tensors(model, sides, weights)
    config = _config(model, sides, tokenizers, positions=len(tensors[f"{_place('encoder')}.weight"]))
    texts = {
        "config.json": config,
        "generation_config.json": _generation(whole["search"], config, tokenizers.target),
        "tokenizer_config.json": _tokenizer_config(tokenizers),
        **_vocabularies(tokenizers),
    }
    aside = directory.with_name(f".new-{directory.name}")
    shutil.rmtree(aside, ignore_errors=True)
    try:
        aside.mkdir(parents=True)
        for name, values in texts.items():
            (aside / name).write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n", "utf-8")
        for side, data in pieces.items():
            (aside / f"{side}.spm").write_bytes(data)
        (aside / "model.safetensors").write_bytes(safetensors.torch.save(tensors, {"format": "pt"}))
        aside.rename(directory)
    except OSError as error:
        raise CheckpointError(f"{directory} could not be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _sides(tokenizers: Tokenizers) -> dict[str, Tokenizer]:
    return {"source": tokenizers.source, "target": tokenizers.target}


def _model_of(run: Path, tokenizer: Tokenizer) -> bytes:
    """The SentencePiece model that cuts its text; UsageError if something else does."""
    if isinstance(tokenizer, SentencePiece):
        return tokenizer.dump()
    if isinstance(tokenizer, PieceList):
        said = Options(
            run / "config.yml", {f"tokenizer.{k}": v for k, v in tokenizer.described()["parameters"].items()}, by=WHO
        )
        said.refuse("tokenizer.cut", unless=["sentencepiece"])
        for name in ("tokenizer.lowercase", "tokenizer.tidy", "tokenizer.listed_only"):
            said.refuse(name, unless=[False])
        return tokenizer.model
    kind = type(tokenizer).__name__
    raise UsageError(f"{run / 'config.yml'}: tokenizer is {kind}, which {WHO} can't express; it knows SentencePiece")


def _checked(model: Options, side: str) -> Options:
    """The options of the encoder or the decoder; UsageError for one that MarianMT doesn't have."""
    model.refuse("class", unless=["EncoderDecoder"])
    for name, plain in (("reverse_source", False), ("repeat_source", 1), ("read_end", True)):
        model.refuse(name, unless=[plain])
    options = model.under(side)
    options.refuse("class", unless=[f"Transformer{side.capitalize()}"])
    options.refuse("key_value_heads", unless=[None, options.get("heads")])
    options.refuse("norm", unless=["post"])
    options.refuse("normalization", unless=["layer"])
    options.refuse("norm_epsilon", unless=[None, EPSILON])
    options.under("positions").refuse("class", unless=["SinusoidalPositions", "LearnedPositions"])
    other = model.under("decoder" if side == "encoder" else "encoder")
    options.refuse("scale_embedding", unless=[other.get("scale_embedding")])
    if _activation(options) != _activation(other):
        raise UsageError(f"{model.where}: encoder and decoder have different activations, which {WHO} can't express")
    return options


def _activation(options: Options) -> str:
    network = options.need("feedforward")
    if not isinstance(network, Mapping):
        return "relu"
    options.under("feedforward").refuse("class", unless=["PositionWise"])
    return str(options.under("feedforward").choose("activation", ACTIVATIONS))


def _place(side: str) -> str:
    return f"model.{side}.embed_positions"


def _tensors(model: Options, sides: Mapping[str, Options], weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights by their names; tables that are shared are written once for each name."""
    source = weights["encoder.embedding.table.weight"]
    target = weights.get("decoder.embedding.table.weight", source)
    readout, bias = weights.get("decoder.readout.weight", target), weights.get("decoder.readout.bias")
    found = {
        "model.encoder.embed_tokens.weight": source,
        "model.decoder.embed_tokens.weight": target.clone(),
        "lm_head.weight": readout.clone(),
        "final_logits_bias": (torch.zeros(len(readout)) if bias is None else bias)[None],
    }
    if model.under("embedding").need("tie") in ("sides", "all"):
        found["model.shared.weight"] = source.clone()
    for side, options in sides.items():
        found |= their_layers(weights, NAMES, side, int(options.need("layers")))
        found[f"{_place(side)}.weight"] = _positions(options.under("positions"), weights, side)
    return {name: tensor.contiguous() for name, tensor in found.items()}


def _positions(options: Options, weights: Mapping[str, Tensor], side: str) -> Tensor:
    if options.get("class") == "LearnedPositions":
        return weights[f"{side}.positions.table.weight"]
    size = weights[f"{side}.layers.0.around_attention.norm.weight"].numel()
    first, layout, inclusive = (options.need(name) for name in ("first", "layout", "inclusive"))
    return sinusoids(first, POSITIONS, size, torch.device("cpu"), layout=layout, inclusive=inclusive)


def _config(model: Options, sides: Mapping[str, Options], tokenizers: Tokenizers, *, positions: int) -> dict[str, Any]:
    tie = model.under("embedding").need("tie")
    said: dict[str, Any] = {
        "architectures": ["MarianMTModel"],
        "model_type": "marian",
        "is_encoder_decoder": True,
        "d_model": model.under("embedding").need("size"),
        "vocab_size": len(tokenizers.source.vocabulary),
        "decoder_vocab_size": len(tokenizers.target.vocabulary),
        "max_position_embeddings": positions,
        "activation_function": _activation(sides["encoder"]),
        "scale_embedding": sides["encoder"].need("scale_embedding"),
        "dropout": sides["decoder"].need("dropout"),
        "attention_dropout": sides["decoder"].need("attention_dropout"),
        "share_encoder_decoder_embeddings": tie in ("sides", "all"),
        "tie_word_embeddings": tie in ("target", "all"),
        "decoder_start_token_id": BOS,
        "pad_token_id": BOS,
        "eos_token_id": EOS,
        "forced_eos_token_id": EOS,
        "use_cache": True,
        "dtype": "float32",
    }
    for side, options in sides.items():
        network = options.need("feedforward")
        inner = network["inner_size"] if isinstance(network, Mapping) else network
        said |= {f"{side}_layers": options.need("layers"), f"{side}_attention_heads": options.need("heads")}
        said[f"{side}_ffn_dim"] = inner
    return said


def _generation(search: Mapping[str, Any], config: Mapping[str, Any], target: Tokenizer) -> dict[str, Any]:
    """What `generate` does by default, as far as it has the run's options; its length penalty is the average's."""
    never = [BOS, *target.vocabulary.ids(target.unwritten), *([UNK] if search["unknown"] == "never" else [])]
    average = search["length_penalty_kind"] == "average"
    same = ("decoder_start_token_id", "pad_token_id", "eos_token_id", "forced_eos_token_id")
    return {
        "num_beams": search["beam_size"],
        "length_penalty": search["length_penalty"] if average else 0.0,
        "max_length": search["max_length"] or min(512, config["max_position_embeddings"]),
        "bad_words_ids": [[symbol] for symbol in never],
        **{name: config[name] for name in same},
    }


def _tokenizer_config(tokenizers: Tokenizers) -> dict[str, Any]:
    return {
        "tokenizer_class": "MarianTokenizer",
        "separate_vocabs": not _one_vocabulary(tokenizers),
        "model_max_length": 512,
        "eos_token": "</s>",
        "unk_token": "<unk>",
        "pad_token": PAD,
    }


def _one_vocabulary(tokenizers: Tokenizers) -> bool:
    return tokenizers.source.vocabulary.symbols == tokenizers.target.vocabulary.symbols


def _vocabularies(tokenizers: Tokenizers) -> dict[str, dict[str, int]]:
    """Symbols and their numbers, those that we have; our start is called pad."""

    def numbered(tokenizer: Tokenizer) -> dict[str, int]:
        _, *symbols = tokenizer.vocabulary.symbols
        return {PAD: BOS} | {f"{PAD}#" if s == PAD else s: number for number, s in enumerate(symbols, 1)}

    found = {"vocab.json": numbered(tokenizers.source)}
    return found if _one_vocabulary(tokenizers) else {**found, "target_vocab.json": numbered(tokenizers.target)}
