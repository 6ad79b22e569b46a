"""A checkpoint of OpenNMT-py 3, which has its vocabularies in it, and what cuts its text beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from seqloom.compat.cutting import Cutting, Side, notes_of, segmentation_of, tokenizers_of
from seqloom.compat.embeddings import Tables
from seqloom.compat.foreign import Foreign, Options, Tensors, one_of
from seqloom.compat.numbering import Numbering
from seqloom.compat.opennmt_py import parts
from seqloom.compat.unpickling import unpickled
from seqloom.errors import DataError, UsageError

START, END, UNKNOWN, PAD = "<s>", "</s>", "<unk>", "<blank>"
TABLE = "embeddings.make_embedding.emb_luts.0.weight"
SEARCH = {"beam_size": 5, "length_penalty_kind": "average", "length_penalty": 1.0, "unknown": "show"}
CUT = {"sentencepiece": "sentencepiece", "bpe": "bpe"}


def read(path: Path, *, pickle_allowed: bool) -> Foreign:
    """A model.  Raises DataError for damaged files, UsageError for what no model of ours can express."""
    file = one_of(path, "a checkpoint", "*.pt") if path.is_dir() else path
    state = unpickled(file, wanted=("model", "generator", "vocab", "opt"), allowed=pickle_allowed)
    vocabularies = state.get("vocab")
    if not isinstance(vocabularies, dict) or not isinstance(vocabularies.get("src"), list) or not state.get("model"):
        raise DataError(f"{file}: this is no checkpoint of OpenNMT-py 3: it has no lists of symbols, or no weights")
    options = Options(file, state.get("opt") or {})
    _check(options, vocabularies)
    generator = {f"generator.{name.removeprefix('0.')}": x for name, x in (state.get("generator") or {}).items()}
    tensors = Tensors(file, {**state["model"], **generator})
    source, target = (_side_of(file, options, vocabularies, side) for side in ("src", "tgt"))
    tables = Tables(
        source=tensors.take(f"encoder.{TABLE}"),
        target=tensors.take(f"decoder.{TABLE}"),
        readout=tensors.take("generator.weight"),
        bias=tensors.maybe("generator.bias"),
        joint=source.numbering == target.numbering,
    )
    weights = tables.weights(source.numbering, target.numbering)
    sections = parts.sections(options, tensors, weights)
    tensors.check_all_taken()
    section = {"class": "EncoderDecoder", "embedding": tables.section(target.numbering), "read_end": False, **sections}
    found = tokenizers_of(source, target, file)
    return Foreign(section, SEARCH, weights, found, notes_of(source, target))


def _check(options: Options, vocabularies: Mapping[str, Any]) -> None:
    """Raises UsageError for an option of the whole model that ours can't express."""
    options.refuse("model_task", unless=["seq2seq"], default="seq2seq")
    options.refuse("model_type", unless=["text"], default="text")
    options.refuse("generator_function", unless=["softmax"], default="softmax")
    options.refuse("copy_attn", unless=[False], default=False)
    width = options.need("src_word_vec_size")
    options.refuse("tgt_word_vec_size", unless=[width], default=width)
    if vocabularies.get("src_feats"):
        raise UsageError(f"{options.where}: it has features of source words, which Seqloom reads with Factors only")


def _side_of(file: Path, options: Options, vocabularies: Mapping[str, Any], side: str) -> Side:
    listed: Sequence[str] = vocabularies[side]
    start = vocabularies.get("decoder_start_token") or START
    numbers = {symbol: listed.index(symbol) for symbol in (start, END, UNKNOWN, PAD) if symbol in listed}
    if UNKNOWN not in numbers or (side == "tgt" and {start, END} - {*numbers}):
        raise DataError(f"{file}: the special symbols of its {side} vocabulary are missing")
    # A source without an end is read no further than its text, so that any number will do for one.
    end = numbers.get(END, numbers[UNKNOWN])
    numbering = Numbering.of(listed, start=numbers.get(start), end=end, unknown=numbers[UNKNOWN])
    silent = [numbers[PAD]] if PAD in numbers else []
    return Side(
        numbering=numbering, cutting=_cutting(file.parent, options, side, listed), silent=silent, unwritten=silent
    )


def _cutting(directory: Path, options: Options, side: str, listed: Sequence[str]) -> Cutting:
    """What the transforms of training were, if the file that they need is there."""
    used = [CUT[name] for name in options.get("transforms", []) if name in CUT]
    model = options.get(f"{side}_subword_model")
    file = directory / Path(str(model)).name
    if used and model and file.exists():
        return Cutting(used[0], file)  # type: ignore[arg-type]
    return Cutting(segmentation=segmentation_of(listed))
