"""A .npz of Marian with its options in it, and its vocabularies beside it."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor

from seqloom.compat.cutting import Cutting, Side, found_beside, notes_of, tokenizers_of
from seqloom.compat.embeddings import Tables
from seqloom.compat.foreign import Foreign, Options, Tensors, bytes_of, one_of, read_yaml
from seqloom.compat.marian.vocabularies import listed_in
from seqloom.compat.numbering import Numbering
from seqloom.compat.transformers import Names, layers_of, part
from seqloom.errors import DataError

MODELS = ("model.npz.best-*.npz", "model.npz", "*.npz")
OPTIONS = "special:model.yml"
EPSILON = 1e-6  # of the norms
STYLES = {("", "dan", ""): "post", ("n", "da", "n"): "pre"}  # what is done before, after, and at the top
NAMES = Names(
    encoder_layer="encoder_l{}_",
    decoder_layer="decoder_l{}_",
    encoder_parts=("self", "self_Wo.norm", "ffn.1", "ffn.2", "ffn_ffn.norm"),
    decoder_parts=("self", "self_Wo.norm", "context", "context_Wo.norm", "ffn.1", "ffn.2", "ffn_ffn.norm"),
    projections=("q", "k", "v", "o"),
    encoder_norm="encoder_top.norm",
    decoder_norm="decoder_top.norm",
    first=1,
)
RECURRENT = ("rnn", "rnn_ffn.norm", *NAMES.decoder_parts[2:])  # where a recurrence stands in for self-attention
OFF = ("transformer-no-projection", "ulr", "transformer-rnn-projection", "lemma-dim-emb", "transformer-decoder-dim-ffn")


def read(path: Path, *, pickle_allowed: bool) -> Foreign:
    """A Transformer; nothing of it is ever pickled.

    Raises DataError for damaged files, UsageError for what no model of ours can express.
    """
    directory = path if path.is_dir() else path.parent
    file = one_of(path, "a model", *MODELS) if path.is_dir() else path
    arrays = _arrays(file)
    if OPTIONS not in arrays:
        raise DataError(f"{file}: this is no model of Marian: it has no {OPTIONS}")
    text = arrays.pop(OPTIONS).tobytes().rstrip(b"\0").decode("utf-8", "replace")
    options = Options(file, read_yaml(file, text))
    norm = _check(options)
    tensors = Tensors(file, dict(_renamed(name, array) for name, array in arrays.items()))
    tables, said = _tables(tensors), directory / "decoder.yml"
    decoding = Options(said, read_yaml(said) if said.exists() else {})
    source, target = _sides(directory, decoding, (len(tables.source), len(tables.target)))
    tables = replace(tables, joint=source.numbering == target.numbering)
    weights = tables.weights(source.numbering, target.numbering)
    sections = {side: _side(options, tensors, side, norm, weights) for side in ("encoder", "decoder")}
    tensors.leave("decoder_c_mt")
    tensors.check_all_taken()
    section = {"class": "EncoderDecoder", "embedding": tables.section(target.numbering), **sections}
    found = tokenizers_of(source, target, directory)
    return Foreign(section, _search(decoding), weights, found, notes_of(source, target))


def _arrays(file: Path) -> dict[str, Any]:
    """NumPy's own format, without whatever would be pickled in it."""
    try:
        with np.load(io.BytesIO(bytes_of(file))) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (ValueError, BadZipFile, EOFError) as error:
        raise DataError(f"{file}: this is damaged, or no .npz: {error}") from None


def _check(options: Options) -> str:
    """How its norms stand; UsageError for an option that no Transformer of ours has."""
    options.refuse("type", unless=["transformer"])
    for name in OFF:
        options.refuse(name, unless=[False, 0], default=False)
    options.refuse("transformer-ffn-depth", unless=[2], default=2)
    options.refuse("transformer-decoder-ffn-depth", unless=[0, 2], default=0)
    options.refuse("transformer-tied-layers", unless=[[]], default=[])
    options.refuse("transformer-postprocess-emb", unless=["", "d"], default="d")
    options.refuse("transformer-decoder-autoreg", unless=["self-attention", "rnn"], default="self-attention")
    if options.get("transformer-decoder-autoreg") == "rnn":
        options.refuse("dec-cell", unless=["ssru"])
    before, after = options.get("transformer-preprocess", ""), options.get("transformer-postprocess", "dan")
    style = (str(before).replace("d", ""), str(after), str(options.get("transformer-postprocess-top", "")))
    if style not in STYLES:
        options.refuse("transformer-postprocess", unless=["dan"] if style[0] == "" else ["da"])
        options.refuse("transformer-preprocess", unless=["", "n"], default="")
        options.refuse("transformer-postprocess-top", unless=[""] if style[0] == "" else ["n"], default="")
    return STYLES[style]


def _renamed(name: str, array: Any) -> tuple[str, Tensor]:
    """A weight as PyTorch's layers name and lay it out: a matrix [out, in] in "X.weight", a vector in "X.bias"."""
    tensor = torch.from_numpy(np.ascontiguousarray(array))
    if norm := re.fullmatch(r"(.+)_ln_(scale|bias)(?:_pre)?", name):
        return f"{norm[1]}.norm.{'weight' if norm[2] == 'scale' else 'bias'}", tensor.flatten()
    linear = re.fullmatch(r"(.+)_(Wt|W|b)([a-z0-9]?)", name)
    if not linear or name.endswith(("Wemb", "Wpos")):
        return name, tensor
    owner = f"{linear[1]}.{linear[3]}" if linear[3] else linear[1]
    if linear[2] == "b":
        return f"{owner}.bias", tensor.flatten()
    return f"{owner}.weight", tensor if linear[2] == "Wt" else tensor.T.contiguous()


def _tables(tensors: Tensors) -> Tables:
    common = tensors.maybe("Wemb")
    source, target = (tensors.maybe(f"{side}_Wemb") for side in ("encoder", "decoder"))
    source, target = common if source is None else source, common if target is None else target
    if source is None or target is None:
        raise DataError(f"{tensors.where}: the weight Wemb is missing")
    readout = tensors.maybe("decoder_ff_logit_out.weight")
    return Tables(
        source=source,
        target=target,
        readout=target if readout is None else readout,
        bias=tensors.maybe("decoder_ff_logit_out.bias"),
        joint=False,  # until more is known
    )


def _side(options: Options, tensors: Tensors, side: str, norm: str, weights: dict[str, Tensor]) -> dict[str, Any]:
    """What the configuration says of the encoder or the decoder, whose weights join the others."""
    layers = int(options.need("enc-depth" if side == "encoder" else "dec-depth"))
    recurrent = side == "decoder" and options.get("transformer-decoder-autoreg") == "rnn"
    names = NAMES.with_decoder_parts(RECURRENT) if recurrent else NAMES
    skipped = ("self_attention",) if recurrent else ()
    weights |= layers_of(tensors, names, side, layers, last_norm=norm == "pre", skipped=skipped)
    for layer in range(layers if recurrent else 0):
        weights |= _recurrence(tensors, layer)
    trained = bool(options.get("transformer-train-positions", False))
    dropout = options.get("transformer-dropout", 0.0)
    return part(
        "SSRUDecoder" if recurrent else f"Transformer{side.capitalize()}",
        layers=layers,
        heads=int(options.get("transformer-heads", 8)),
        feedforward=int(options.need("transformer-dim-ffn")),
        activation=options.choose("transformer-ffn-activation", {"relu": "relu", "swish": "swish"}, "swish"),
        dropout=float(dropout),
        attention_dropout=float(options.get("transformer-dropout-attention", 0.0)),
        feedforward_dropout=float(options.get("transformer-dropout-ffn", 0.0)),
        norm=norm,
        norm_epsilon=EPSILON,
        scale_embedding=not trained,
        positions=_learned(tensors, side, weights) if trained else {"class": "SinusoidalPositions", "inclusive": True},
    )


def _learned(tensors: Tensors, side: str, weights: dict[str, Tensor]) -> dict[str, Any]:
    """One table of positions serves both sides there."""
    table = weights[f"{side}.positions.table.weight"] = tensors.take("Wpos")
    return {"class": "LearnedPositions", "max_positions": len(table)}


def _recurrence(tensors: Tensors, layer: int) -> dict[str, Tensor]:
    ours, theirs = f"decoder.layers.{layer}.self_attention", f"decoder_l{layer + 1}_rnn"
    return {
        f"{ours}.forget.weight": tensors.take(f"{theirs}.f.weight"),
        f"{ours}.forget.bias": tensors.take(f"{theirs}.f.bias"),
        f"{ours}.candidate.weight": tensors.take(f"{theirs}.weight"),
    }


def _sides(directory: Path, decoding: Options, sizes: tuple[int, int]) -> tuple[Side, Side]:
    """What is known of source and target symbols, and what cuts their text."""
    named = [directory / Path(str(name)).name for name in decoding.get("vocabs", [])]
    paths = named or [one_of(directory, "a vocabulary", "*vocab*.yml", "*vocab*.spm", "*.spm", "*.yml")]
    if len(paths) > 2:
        raise DataError(f"{decoding.where}: it names {len(paths)} vocabularies; a source and a target have two")
    return _side_of(directory, paths[0], "source", sizes[0]), _side_of(directory, paths[-1], "target", sizes[1])


def _side_of(directory: Path, path: Path, side: str, size: int) -> Side:
    listed, end, unknown = listed_in(path)
    listed = [*listed[:size], *(f"<number {number}>" for number in range(len(listed), size))]
    numbering = Numbering.of(listed, start=None, end=end, unknown=unknown)
    return Side(numbering=numbering, cutting=_cutting(directory, path, side, listed), tags=_tags(listed))


def _cutting(directory: Path, path: Path, side: str, listed: Sequence[str]) -> Cutting:
    if path.suffix == ".spm":
        return Cutting("sentencepiece", path)
    return found_beside(directory, side, listed)


def _tags(listed: Sequence[str]) -> list[int]:
    """The languages that a source may begin with."""
    return [i for i, symbol in enumerate(listed) if symbol.startswith(">>") and symbol.endswith("<<")]


def _search(decoding: Options) -> dict[str, Any]:
    """What its decoder does by default."""
    return {
        "beam_size": int(decoding.get("beam-size", 12)),
        "length_penalty_kind": "average",
        "length_penalty": float(decoding.get("normalize", 0.0)),
        "unknown": "show" if decoding.get("allow-unk", False) else "never",
    }
