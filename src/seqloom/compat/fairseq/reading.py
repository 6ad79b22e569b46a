"""A fairseq checkpoint beside its dictionaries, and beside what cuts its text."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from seqloom.compat.cutting import Side, found_beside, notes_of, tokenizers_of
from seqloom.compat.embeddings import Tables
from seqloom.compat.foreign import Foreign, Options, Tensors, one_of, text_of
from seqloom.compat.numbering import Numbering
from seqloom.compat.transformers import Names, layers_of, part
from seqloom.compat.unpickling import unpickled
from seqloom.errors import DataError

CHECKPOINTS = ("checkpoint_best.pt", "checkpoint_last.pt", "model.pt", "*.pt")
SPECIALS = ("<s>", "<pad>", "</s>", "<unk>")  # before every dictionary
START, PAD, END, UNKNOWN = range(4)  # targets begin with the end, not with the start
EPSILON = 1e-5
AVERAGE = {"length_penalty_kind": "average", "length_penalty": 1.0}
SEARCH = {"beam_size": 5, "min_length": 2, "unknown": "show", **AVERAGE}  # the end counts, here
OVERWRITE = " #fairseq:overwrite"
NAMES = Names(
    encoder_layer="encoder.layers.{}.",
    decoder_layer="decoder.layers.{}.",
    encoder_parts=("self_attn", "self_attn_layer_norm", "fc1", "fc2", "final_layer_norm"),
    decoder_parts=(
        "self_attn",
        "self_attn_layer_norm",
        "encoder_attn",
        "encoder_attn_layer_norm",
        "fc1",
        "fc2",
        "final_layer_norm",
    ),
    projections=("q_proj", "k_proj", "v_proj", "out_proj"),
)
COPIES = r"encoder\.layers\.\d+\.(in_proj|out_proj|fc1|fc2)_(weight|bias)"
NORMS = {  # as older versions numbered them
    "encoder": ("self_attn_layer_norm", "final_layer_norm"),
    "decoder": ("self_attn_layer_norm", "encoder_attn_layer_norm", "final_layer_norm"),
}


def read(path: Path, *, pickle_allowed: bool) -> Foreign:
    """A Transformer.  Raises DataError for damaged files, UsageError for what no model of ours can express."""
    directory = path if path.is_dir() else path.parent
    file = one_of(path, "a checkpoint", *CHECKPOINTS) if path.is_dir() else path
    state = unpickled(file, wanted=("model", "args", "cfg"), allowed=pickle_allowed)
    options, task = _options(file, state)
    _check(options)
    tensors = Tensors(file, _modern(state.get("model") or {}))
    source, target = _sides(directory, task)
    joint = source.numbering == target.numbering
    tables = _tables(tensors, joint=joint)
    for side, table in ((source, tables.source), (target, tables.target)):
        if len(side.numbering.rows) - side.numbering.added_start != len(table):
            raise DataError(
                f"{directory}: its dictionaries are not those of {file.name}, which knows {len(table)} symbols"
            )
    weights = tables.weights(source.numbering, target.numbering)
    sections = {name: _side(options, tensors, name, weights) for name in ("encoder", "decoder")}
    tensors.check_all_taken()
    model = {"class": "EncoderDecoder", "embedding": tables.section(target.numbering), **sections}
    return Foreign(model, SEARCH, weights, tokenizers_of(source, target, directory), notes_of(source, target))


def _options(file: Path, state: Mapping[str, Any]) -> tuple[Options, Options]:
    """The options of the model and of the task, from a checkpoint of any age."""
    config = state.get("cfg") or {}
    model = config.get("model") or state.get("args")
    if not isinstance(model, dict):
        raise DataError(f"{file}: this is no checkpoint of fairseq: it has no options of a model")
    nested = {
        f"{side}_{key}": value for side in ("encoder", "decoder") for key, value in (model.get(side) or {}).items()
    }
    return Options(file, {**model, **nested}), Options(file, {**model, **(config.get("task") or {})})


def _check(options: Options) -> None:
    """Raises UsageError for an option that no Transformer of ours has."""
    arch = str(options.get("arch", options.get("_name", "transformer")))
    if not arch.startswith("transformer"):
        options.refuse("arch" if options.get("arch") else "_name", unless=["transformer"])
    for name in ("adaptive_input", "layernorm_embedding", "no_cross_attention", "cross_self_attention"):
        options.refuse(name, unless=[False], default=False)
    for name in ("no_decoder_final_norm", "char_inputs", "encoder_normalize_embedding"):
        options.refuse(name, unless=[False], default=False)
    options.refuse("adaptive_softmax_cutoff", unless=[None])
    width = options.need("encoder_embed_dim")
    options.refuse("decoder_embed_dim", unless=[width], default=width)
    options.refuse("decoder_output_dim", unless=[width], default=width)
    before = bool(options.get("encoder_normalize_before", False))
    options.refuse("decoder_normalize_before", unless=[before], default=False)


def _modern(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights under the names that newer versions give them, and without the copies that these keep for speed."""
    found: dict[str, Tensor] = {}
    for name, weight in weights.items():
        if re.fullmatch(COPIES, name):
            continue
        if old := re.search(r"layer_norms\.(\d)", name):
            name = name.replace(old[0], NORMS[name.split(".")[0]][int(old[1])])
        owner, mark, kind = name.partition("attn.in_proj_")
        if not mark:
            found[name] = weight
        for letter, rows in zip("qkv", weight.chunk(3) if mark else (), strict=False):
            found[f"{owner}attn.{letter}_proj.{kind}"] = rows
    return found


def _tables(tensors: Tensors, *, joint: bool) -> Tables:
    source, target = (tensors.take(f"{side}.embed_tokens.weight") for side in ("encoder", "decoder"))
    readout = tensors.maybe("decoder.output_projection.weight")
    older = tensors.maybe("decoder.embed_out")
    readout = older if readout is None else readout
    return Tables(source=source, target=target, readout=target if readout is None else readout, joint=joint)


def _side(options: Options, tensors: Tensors, side: str, weights: dict[str, Tensor]) -> dict[str, Any]:
    """What the configuration says of the encoder or the decoder, whose weights join the others."""
    before, layers = bool(options.get(f"{side}_normalize_before", False)), int(options.need(f"{side}_layers"))
    weights |= layers_of(tensors, NAMES, side, layers, last_norm=before)
    tensors.leave(f"{side}.version")
    return part(
        f"Transformer{side.capitalize()}",
        layers=layers,
        heads=int(options.need(f"{side}_attention_heads")),
        feedforward=int(options.need(f"{side}_ffn_embed_dim")),
        activation=options.choose("activation_fn", {"relu": "relu", "gelu": "gelu", "swish": "swish"}, "relu"),
        dropout=float(options.get("dropout", 0.1)),
        attention_dropout=float(options.get("attention_dropout", 0.0)),
        feedforward_dropout=float(options.get("activation_dropout", options.get("relu_dropout", 0.0))),
        norm="pre" if before else "post",
        norm_epsilon=EPSILON,
        scale_embedding=not options.get("no_scale_embedding", False),
        positions=_positions(options, tensors, side, weights),
    )


def _positions(options: Options, tensors: Tensors, side: str, weights: dict[str, Tensor]) -> Any:
    """Places are counted from behind the number of the padding."""
    tensors.leave(f"{side}.embed_positions._float_tensor")
    if options.get("no_token_positional_embeddings", False):
        return "NoPositions"
    if not options.get(f"{side}_learned_pos", False):
        return {"class": "SinusoidalPositions", "first": PAD + 1, "inclusive": True}
    table = tensors.take(f"{side}.embed_positions.weight")[PAD + 1 :]
    weights[f"{side}.positions.table.weight"] = table.contiguous()
    return {"class": "LearnedPositions", "max_positions": len(table)}


def _sides(directory: Path, task: Options) -> tuple[Side, Side]:
    """What is known of source and target symbols, and what cuts their text."""
    names = [task.get("source_lang"), task.get("target_lang")]
    if not all(names):
        names = [file.name.split(".")[1] for file in sorted(directory.glob("dict.*.txt"))]
    if len(names) != 2:
        raise DataError(f"{directory}: there must be two dictionaries, dict.SOURCE.txt and dict.TARGET.txt")
    source, target = (_side_of(directory, str(name)) for name in names)
    return source, target


def _side_of(directory: Path, language: str) -> Side:
    listed = [*SPECIALS, *_listed(directory / f"dict.{language}.txt")]
    numbering = Numbering.of(listed, start=END, end=END, unknown=UNKNOWN)
    cutting = found_beside(directory, language, listed)
    return Side(numbering=numbering, cutting=cutting, silent=(START, PAD), unwritten=(PAD,))


def _listed(path: Path) -> Sequence[str]:
    """The symbols of a dictionary: one a line, with a blank and a count behind it."""
    lines = [line.removesuffix(OVERWRITE) for line in text_of(path).split("\n") if line.strip()]
    parts = [line.rstrip("\r").rpartition(" ") for line in lines]
    if not lines or not all(symbol and count.isdecimal() for symbol, _, count in parts):
        raise DataError(f"{path}: a dictionary has a symbol and a count in each line")
    return [symbol for symbol, _, _ in parts]
