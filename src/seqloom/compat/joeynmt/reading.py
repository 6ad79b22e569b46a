"""A model directory of JoeyNMT: config.yaml, a checkpoint, vocabularies, and what cuts text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from seqloom.compat.cutting import Cutting, Side, notes_of, tokenizers_of
from seqloom.compat.embeddings import Tables
from seqloom.compat.foreign import Foreign, Options, Tensors, bytes_of, one_of, read_yaml, text_of
from seqloom.compat.joeynmt import parts
from seqloom.compat.numbering import Numbering
from seqloom.compat.unpickling import unpickled
from seqloom.errors import DataError
from seqloom.tokenizers.piece_list import pieces_in

CHECKPOINTS = ("best.ckpt", "avg_best.ckpt", "latest.ckpt", "*.ckpt")


def read(path: Path, *, pickle_allowed: bool) -> Foreign:
    """A model.  Raises DataError for damaged files, UsageError for what no model of ours can express."""
    directory = path if path.is_dir() else path.parent
    file = one_of(path, "a checkpoint", *CHECKPOINTS) if path.is_dir() else path
    options = Options(directory / "config.yaml", read_yaml(directory / "config.yaml"))
    state = unpickled(file, wanted=("model_state",), allowed=pickle_allowed)
    if not state.get("model_state"):
        raise DataError(f"{file}: this is no checkpoint of JoeyNMT: it has no model_state")
    tensors = Tensors(file, state["model_state"])
    source, target = (_side_of(directory, options, side) for side in ("src", "trg"))
    model = options.under("model")
    tables = _tables(tensors, model, joint=source.numbering == target.numbering)
    weights = tables.weights(source.numbering, target.numbering)
    sections = parts.sections(model, tensors, weights)
    tensors.check_all_taken()
    section = {"class": "EncoderDecoder", "embedding": tables.section(target.numbering), **sections}
    found = tokenizers_of(source, target, directory)
    notes = (*notes_of(source, target), *_unlisted(source, target))
    return Foreign(section, _search(options.under("testing")), weights, found, notes)


def _tables(tensors: Tensors, model: Options, *, joint: bool) -> Tables:
    source, target = tensors.take("src_embed.lut.weight"), tensors.take("trg_embed.lut.weight")
    readout = tensors.take("decoder.output_layer.weight")
    scales = [parts.table_scale(model, side) for side in ("encoder", "decoder")]
    return Tables(source=source * scales[0], target=target * scales[1], readout=readout, joint=joint)


def _search(testing: Options) -> dict[str, Any]:
    """What its testing does; a beam_alpha below 0 is no penalty, and its lengths are counted without the end."""
    return {
        "beam_size": int(testing.get("beam_size", 1)),
        "length_penalty": max(float(testing.get("beam_alpha", -1)), 0.0),
        "min_length": int(testing.get("min_output_length", 1)) + 1,
        "unknown": "show" if testing.get("generate_unk", True) else "never",
    }


def _side_of(directory: Path, options: Options, side: str) -> Side:
    """What is known of the symbols of one side, and what cuts its text."""
    data, specials = options.under("data"), options.under("data").under("special_symbols")
    listed = _listed(directory / f"{side}_vocab.txt")
    numbers = {
        kind: _number(listed, str(specials.get(f"{kind}_token", token)), directory / f"{side}_vocab.txt")
        for kind, token in (("unk", "<unk>"), ("pad", "<pad>"), ("bos", "<s>"), ("eos", "</s>"))
    }
    numbering = Numbering.of(listed, start=numbers["bos"], end=numbers["eos"], unknown=numbers["unk"])
    tags = [listed.index(tag) for tag in specials.get("lang_tags", []) if tag in listed]
    silent = [numbers["pad"], *([listed.index(specials.get("sep_token"))] if specials.get("sep_token") else [])]
    text = data.under(side)
    cutting, more = _cutting(directory, text)
    return Side(
        numbering=numbering,
        cutting=cutting,
        silent=(*silent, *tags),
        unwritten=silent,
        tags=tags,
        options=more | {"lowercase": bool(text.get("lowercase", False)), "tidy": bool(text.get("normalize", False))},
    )


def _listed(path: Path) -> Sequence[str]:
    return [line.removesuffix("\r") for line in text_of(path).removesuffix("\n").split("\n")]


def _number(listed: Sequence[str], symbol: str, path: Path) -> int:
    if symbol not in listed:
        raise DataError(f"{path}: the special symbol {symbol} is missing")
    return listed.index(symbol)


def _cutting(directory: Path, text: Options) -> tuple[Cutting, dict[str, Any]]:
    """What cuts text, and more parameters of the tokenizer."""
    level = text.choose("level", {"word": "blanks", "char": "characters", "bpe": "bpe"})
    options = text.under("tokenizer_cfg")
    options.refuse("pretokenizer", unless=["none"], default="none")
    if level != "bpe":
        return Cutting(level), {}
    kinds = {"sentencepiece": ("sentencepiece", "model_file"), "subword-nmt": ("bpe", "codes")}
    cut, name = text.choose("tokenizer_type", kinds, text.get("bpe_type", "sentencepiece"))
    options.refuse("separator", unless=["@@"], default="@@")
    return Cutting(cut, _beside(directory, Path(str(options.need(name))))), {"listed_only": cut == "bpe"}


def _unlisted(*sides: Side) -> Iterator[str]:
    """A sentence for each SentencePiece model that has pieces of text which the vocabulary hasn't."""
    for file in dict.fromkeys(side.cutting.file for side in sides if side.cutting.cut == "sentencepiece"):
        assert file is not None
        known = {symbol for side in sides if side.cutting.file == file for symbol in side.numbering.symbols}
        pieces, end, unknown = pieces_in(bytes_of(file))
        left = [piece for i, piece in enumerate(pieces) if piece not in known and i > max(end, unknown)]
        if left:
            yield f"{file.name} has {len(left)} pieces that no vocabulary lists: unknown here, and cut smaller there"


def _beside(directory: Path, path: Path) -> Path:
    """The copy of a file that lies beside the model, or else the file itself."""
    copy = directory / path.name
    return copy if copy.exists() else directory / path
