"""A directory with config.json, weights, vocab.json and two SentencePiece models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from seqloom.compat.embeddings import Tables
from seqloom.compat.foreign import Foreign, Options, Tensors, bytes_of, checked, read_json
from seqloom.compat.marian_hf.names import ACTIVATIONS, END, EPSILON, NAMES, PAD, UNKNOWN
from seqloom.compat.numbering import Numbering
from seqloom.compat.transformers import layers_of, part
from seqloom.compat.unpickling import unpickled
from seqloom.errors import DataError
from seqloom.layers.positions import sinusoids
from seqloom.tokenizers import PieceList, Tokenizers
from seqloom.tokenizers.piece_list import Pieces

WEIGHTS, PICKLED = "model.safetensors", "pytorch_model.bin"


def read(directory: Path, *, pickle_allowed: bool) -> Foreign:
    """A MarianMT model.  Raises DataError for damaged files, UsageError for what no model of ours can express."""
    options = Options(directory / "config.json", read_json(directory / "config.json"))
    options.refuse("model_type", unless=["marian"])
    tensors = Tensors(directory, _tensors(directory, pickle_allowed=pickle_allowed))
    source, target = _numbered(directory, options)
    tables = _tables(tensors, joint=not _separate(directory))
    weights = tables.weights(source, target)
    sections = {side: _side(options, tensors, side, weights) for side in ("encoder", "decoder")}
    tensors.check_all_taken()
    model = {"class": "EncoderDecoder", "embedding": tables.section(target), **sections}
    return Foreign(model, _search(directory, options), weights, _tokenizers(directory, source, target, options))


def _tensors(directory: Path, *, pickle_allowed: bool) -> Mapping[str, Tensor]:
    if (directory / WEIGHTS).exists():
        try:
            return safetensors.torch.load(bytes_of(directory / WEIGHTS))
        except safetensors.SafetensorError as error:
            raise DataError(f"{directory / WEIGHTS}: this is damaged: {error}") from None
    if (directory / PICKLED).exists():
        return unpickled(directory / PICKLED, wanted=(), allowed=pickle_allowed)
    raise DataError(f"{directory}: there are no weights; they would be in {WEIGHTS} or {PICKLED}")


def _side(options: Options, tensors: Tensors, side: str, weights: dict[str, Tensor]) -> dict[str, Any]:
    """What the configuration says of the encoder or the decoder, whose weights join the others."""
    size, layers = int(options.need("d_model")), int(options.need(f"{side}_layers"))
    weights |= layers_of(tensors, NAMES, side, layers, last_norm=False)
    return part(
        f"Transformer{side.capitalize()}",
        layers=layers,
        heads=int(options.need(f"{side}_attention_heads")),
        feedforward=int(options.need(f"{side}_ffn_dim")),
        activation=options.choose("activation_function", ACTIVATIONS, "gelu"),
        feedforward_dropout=float(options.get("activation_dropout", 0.0)),
        dropout=float(options.get("dropout", 0.1)),
        attention_dropout=float(options.get("attention_dropout", 0.0)),
        norm="post",
        norm_epsilon=EPSILON,
        scale_embedding=bool(options.get("scale_embedding", False)),
        positions=_positions(tensors, side, size, weights),
    )


def _positions(tensors: Tensors, side: str, size: int, weights: dict[str, Tensor]) -> Any:
    """Sinusoids, or what stands in their place."""
    table = tensors.maybe(f"model.{side}.embed_positions.weight")
    if table is None or torch.allclose(table, sinusoids(0, len(table), size, table.device), atol=1e-4):
        return "SinusoidalPositions"
    weights[f"{side}.positions.table.weight"] = table
    return {"class": "LearnedPositions", "max_positions": len(table)}


def _tables(tensors: Tensors, *, joint: bool) -> Tables:
    """What is shared is there under one of its names only, or under all."""
    common = tensors.maybe("model.shared.weight")

    def table(name: str, otherwise: Tensor | None) -> Tensor:
        found = tensors.maybe(name)
        if found is None and otherwise is None:
            raise DataError(f"{tensors.where}: the weight {name} is missing")
        return otherwise if found is None else found  # type: ignore[return-value]

    source = table("model.encoder.embed_tokens.weight", common)
    target = table("model.decoder.embed_tokens.weight", common)
    readout, bias = table("lm_head.weight", target), tensors.maybe("final_logits_bias")
    return Tables(source=source, target=target, readout=readout, joint=joint, bias=None if bias is None else bias[0])


def _numbered(directory: Path, options: Options) -> tuple[Numbering, Numbering]:
    """The numbers of source and target symbols."""
    listed = _listed(directory / "vocab.json", int(options.need("vocab_size")))
    start, end = (int(options.need(f"{name}_token_id")) for name in ("decoder_start", "eos"))
    if not _separate(directory):
        both = Numbering.of(listed, start=start, end=end, unknown=listed.index(UNKNOWN))
        return both, both
    target = _listed(directory / "target_vocab.json", int(options.get("decoder_vocab_size", len(listed))))
    begins = listed.index(PAD) if PAD in listed else None
    source = Numbering.of(listed, start=begins, end=listed.index(END), unknown=listed.index(UNKNOWN))
    return source, Numbering.of(target, start=start, end=end, unknown=target.index(UNKNOWN))


def _separate(directory: Path) -> bool:
    return (directory / "target_vocab.json").exists()


def _listed(path: Path, size: int) -> Sequence[str]:
    """The symbols of a vocab.json in the order of their numbers."""
    known = {number: symbol for symbol, number in read_json(path).items()}
    if not all(isinstance(number, int) and 0 <= number < size for number in known):
        raise DataError(f"{path}: its numbers are not those of {size} symbols")
    listed = [known.get(number, f"<number {number}>") for number in range(size)]
    if {UNKNOWN, END} - {*listed}:
        raise DataError(f"{path}: {UNKNOWN} or {END} is missing")
    return listed


def _tokenizers(directory: Path, source: Numbering, target: Numbering, options: Options) -> Tokenizers:
    joint = not _separate(directory)

    def made(numbering: Numbering, side: str) -> PieceList:
        silent = tuple(symbol for symbol in numbering.symbols if symbol == PAD)  # if targets don't begin with it
        pieces = Pieces(
            symbols=numbering.symbols,
            tags=tuple(symbol for symbol in numbering.symbols if symbol.startswith(">>") and symbol.endswith("<<")),
            silent=silent,
            unwritten=silent,
            model=bytes_of(directory / f"{side}.spm"),
        )
        return PieceList.of(pieces, cut="sentencepiece", joint=joint)

    return checked(lambda: Tokenizers(made(source, "source"), made(target, "target")), directory)


def _search(directory: Path, options: Options) -> dict[str, Any]:
    """What their `generate` does by default; it may write the unknown symbol."""
    path = directory / "generation_config.json"
    generation = Options(path, read_json(path) if path.exists() else options.values)
    return {
        "beam_size": int(generation.get("num_beams", 1)),
        "length_penalty_kind": "average",
        "length_penalty": float(generation.get("length_penalty", 1.0)),
        "unknown": "show",
    }
