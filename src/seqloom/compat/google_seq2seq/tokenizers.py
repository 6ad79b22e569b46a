"""Vocabularies and delimiters as tokenizers."""

from __future__ import annotations

from dataclasses import dataclass

from seqloom.compat.google_seq2seq.rows import Part
from seqloom.compat.google_seq2seq.said import Report, Said, literal

MADE = "no vocabulary was named: it is made from the training text"


@dataclass(frozen=True)
class Side:
    """What is known of a side's tokens."""

    vocabulary: Said
    delimiter: Said
    segmentation: Said


def tokenizer(source: Side, target: Side, *, shared: Said, report: Report) -> Part:
    """One tokenizer where the sides share their vectors, otherwise one for each."""
    if not shared.value:
        return {"source": _one(source, report), "target": _one(target, report)}
    if source.vocabulary.value != target.vocabulary.value:
        what = "embedding.share needs one vocabulary: name the same file as vocab_source and vocab_target, or neither"
        report.problem(shared.place, what)
    if source.delimiter.value != target.delimiter.value:
        report.problem(shared.place, "embedding.share needs one vocabulary, and so the same delimiter on both sides")
    return {**_one(target, report), "joint": shared.noted("embedding.share")}


def _one(side: Side, report: Report) -> Part:
    delimiter, segmentation = side.delimiter.value, side.segmentation
    if side.vocabulary.value:
        return {
            "class": "VocabularyFile",
            "path": side.vocabulary.to(literal),
            "delimiter": side.delimiter,
            "segmentation": segmentation,
        }
    if delimiter == " ":
        return {"class": Said("Words", (), MADE), "segmentation": segmentation}
    if delimiter == "":
        return {"class": Said("Characters", (), MADE)}
    what = (
        "without a vocabulary, tokens are words (' ') or characters (''); "
        f"make one: seqloom vocabulary --delimiter {delimiter!r}"
    )
    report.problem(side.delimiter.place, what)
    return {}
