"""Their input pipelines: the files of text, and how lines are cut into tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from seqloom.compat.google_seq2seq.answers import chosen, listed
from seqloom.compat.google_seq2seq.rows import Family, Named, Part, Row
from seqloom.compat.google_seq2seq.said import Answers, Report, Said, literal

_TEXT = "write its pairs as lines of two text files and give --train-source and --train-target"
_IMAGES = (
    "TFRecord files can't be read; list the images' paths in a text file, one a line, give it as --train-source, "
    "and the captions as --train-target"
)
BASE = (
    Row("shuffle", True, "nothing: training data are always shuffled", notice="training data are always shuffled here"),
    Row(
        "num_epochs",
        None,
        "refused",
        type=int,
        refused="how long to train is said in steps here; set train_steps",
    ),
)
DELIMITERS = (
    Row("source_delimiter", " ", "`delimiter` of the tokenizer; an empty one makes every character a token"),
    Row("target_delimiter", " ", "`delimiter` of the tokenizer; an empty one makes every character a token"),
)
PARALLEL = (*BASE, Row("source_files", [], "`source` of corpora"), Row("target_files", [], "`target`"), *DELIMITERS)
RECORDS = (
    Row("files", [], "refused"),
    Row("source_field", "source", "refused"),
    Row("target_field", "target", "refused"),
)
IMAGES = (
    Row("files", [], "refused"),
    Row("image_field", "image/data", "refused"),
    Row("image_format", "jpg", "refused"),
    Row("caption_ids_field", "image/caption_ids", "refused"),
    Row("caption_tokens_field", "image/caption", "refused"),
)

PIPELINES = Family(
    "input pipeline",
    ("seq2seq.data.input_pipeline",),
    (
        Named("ParallelTextInputPipeline", "`data.train`, `data.valid`", PARALLEL),
        Named(
            "TFRecordInputPipeline",
            "refused",
            (*BASE, *RECORDS, *DELIMITERS),
            refused=f"TFRecord files can't be read; {_TEXT}",
        ),
        Named("ImageCaptioningInputPipeline", "refused", (*BASE, *IMAGES), refused=_IMAGES),
    ),
)


@dataclass(frozen=True)
class Texts:
    """The corpora of a pipeline, None where it names no file, and the delimiters of its two sides."""

    corpora: list[Part] | None
    source_delimiter: Said
    target_delimiter: Said


def texts(options: Mapping[str, Said], part: str, report: Report) -> Texts:
    """The texts to train on, or with part "dev" to validate on.  Files of the command line replace the pipeline's."""
    pipeline, own = options[f"input_pipeline_{part}"], (options[f"{part}_source"], options[f"{part}_target"])
    files_given = any(said.value for said in own)
    given = _given(pipeline, report, only_text=files_given)
    sources, targets = own if files_given else (given.get("source_files"), given.get("target_files"))
    delimiters = given.get("source_delimiter", Said(" ")), given.get("target_delimiter", Said(" "))
    if sources is None or targets is None or not (sources.value or targets.value):
        return Texts(None, *delimiters)
    return Texts(_corpora(sources, targets, report), *delimiters)


def check_alike(training: Texts, validation: Texts, report: Report) -> None:
    """Training and validation must cut a side's text in one way."""
    for side in ("source", "target"):
        one, other = (getattr(texts, f"{side}_delimiter") for texts in (training, validation))
        if other.place and other.value != one.value:
            what = f"this is another delimiter than in training, {one.value!r}; texts are cut in one way here"
            report.problem(other.place, what)


def _given(pipeline: Said, report: Report, *, only_text: bool) -> Answers:
    """The pipeline's parameters; none of one that is not read because files are given and that isn't text."""
    if not pipeline.value:
        return {}
    names = isinstance(pipeline.value, dict) and str(pipeline.value.get("class", "")).rpartition(".")[2]
    if only_text and names != "ParallelTextInputPipeline":
        return {}
    found = chosen(pipeline, PIPELINES, report)
    return found[1] if found else {}


def _corpora(sources: Said, targets: Said, report: Report) -> list[Part]:
    if len(sources.value) != len(targets.value):
        what = f"{len(sources.value)} source and {len(targets.value)} target files: each needs its partner"
        report.problem(targets.place or sources.place, what)
    pairs = zip(listed(sources), listed(targets), strict=False)
    return [{"source": source.to(literal), "target": target.to(literal)} for source, target in pairs]
