"""Their metrics."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from seqloom.compat.google_seq2seq.answers import chosen, listed
from seqloom.compat.google_seq2seq.rows import Family, Named, Part, Row
from seqloom.compat.google_seq2seq.said import Answers, Report, Said

ROUGE_TYPES = "rouge_1, rouge_2 or rouge_l, and /f_score, /p_score or /r_score behind it, such as rouge_1/f_score"
SEGMENTATIONS = {"": "none", "strip_bpe": "bpe", "decode_sentencepiece": "sentencepiece"}
POSTPROC = Row(
    "postproc_fn",
    "",
    "`segmentation` of the tokenizer; strip_bpe and decode_sentencepiece of seq2seq.data.postproc",
)
_ENDS = "no sign is looked for here: a sentence begins and ends where its tokens do"
_SEPARATOR = "tokens are put together by the tokenizer here, as their delimiter says"
TEXT = (
    Row("sos_token", "SEQUENCE_START", "nothing: sentences begin where they begin", notice=_ENDS),
    Row("eos_token", "SEQUENCE_END", "nothing: sentences end where they end", notice=_ENDS),
    Row("separator", " ", "nothing: the tokenizer's delimiter", notice=_SEPARATOR),
    POSTPROC,
)
ROUGE = (*TEXT, Row("rouge_type", "", "`kind` and `value`", needed=f"rouge_type: {ROUGE_TYPES}"))


def _bleu(given: Answers, report: Report) -> Part:
    return {"class": "Bleu", "tokenize": "none", "smooth": Said("none", (), "as multi-bleu.perl counts")}


def _rouge(given: Answers, report: Report) -> Part:
    kind = given["rouge_type"]
    match = re.fullmatch(r"rouge_([12l])/([fpr])_score", kind.value)
    if match is None:
        report.problem(kind.place, f"expected {ROUGE_TYPES}, got {kind.value!r}")
        return {}
    return {"class": "Rouge", "kind": match[1], "value": match[2]}


METRICS = Family(
    "metric",
    ("seq2seq.metrics.metric_specs",),
    (
        Named("LogPerplexityMetricSpec", "nothing: `loss` is always measured"),
        Named("BleuMetricSpec", "`Bleu`, `tokenize: none`, `smooth: none`", TEXT, _bleu),
        Named("RougeMetricSpec", "`Rouge`", ROUGE, _rouge),
    ),
)


def metrics(said: Said, report: Report) -> tuple[list[Part], Said]:
    """`task.metrics`, and the segmentation that they undo."""
    found = [pair for item in listed(said) if (pair := chosen(item, METRICS, report))]
    parts = [part for named, given in found if (part := named.make(given, report))]
    undone = [given["postproc_fn"] for _, given in found if "postproc_fn" in given]
    unique = [part for index, part in enumerate(parts) if plain(part) not in map(plain, parts[:index])]
    return unique, segmentation(undone, report)


def plain(part: Part) -> dict[str, object]:
    """The part without what is known of its values."""
    return {key: value.value if isinstance(value, Said) else value for key, value in part.items()}


def segmentation(wanted: Sequence[Said], report: Report) -> Said:
    """What all the `postproc_fn` there are undo."""
    choices = []
    for said in wanted:
        short = said.value.removeprefix("seq2seq.data.postproc.")
        if short not in SEGMENTATIONS:
            report.problem(said.place, f"expected strip_bpe or decode_sentencepiece, got {said.value!r}")
        choices.append(replace(said, value=SEGMENTATIONS.get(short, "none")))
    if len({choice.value for choice in choices}) > 1:
        report.problem(choices[-1].place, "all metrics look at one text here: give every one the same postproc_fn")
    return choices[0] if choices else Said("none")
