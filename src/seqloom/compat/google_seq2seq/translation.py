"""A pure translation: their options in, our configuration out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from seqloom.compat.google_seq2seq.answers import answers
from seqloom.compat.google_seq2seq.flags import EXTRA, INFER, TRAIN
from seqloom.compat.google_seq2seq.hooks import hooks
from seqloom.compat.google_seq2seq.metrics import metrics
from seqloom.compat.google_seq2seq.models import MODELS
from seqloom.compat.google_seq2seq.pipelines import check_alike, texts
from seqloom.compat.google_seq2seq.rows import Named, Part
from seqloom.compat.google_seq2seq.said import Answers, Report, Said
from seqloom.compat.google_seq2seq.settled import settled
from seqloom.compat.google_seq2seq.training import data, search, seed, task, tokenizers, train
from seqloom.config.tree import Tree
from seqloom.registry import Place


@dataclass(frozen=True)
class Translation:
    """Our configuration, comments for some of its places, what the user should know, and their `output_dir`.

    Where they named no text to train on, `data.train` is missing.
    """

    tree: Tree
    comments: Mapping[Place, str]
    notices: list[str]
    output: str | None

    @property
    def has_text(self) -> bool:
        """Whether there is anything to train on."""
        return "train" in self.tree.value["data"]


def translate(options: Tree) -> Translation:
    """What files and flags of theirs, merged by `gather`, are in our configuration.

    Raises ConfigError with a sentence for everything that can't be translated.
    """
    report = Report(options)
    flags = answers(Said(options.value), (*TRAIN, *INFER, *EXTRA), report, owner="the command line")
    model = _model(flags["model"], report)
    if model is None:
        report.check()
    assert model is not None
    given = answers(flags["model_params"], model.rows, report, owner=model.name)
    tree, comments = settled(_sections(flags, given, model, report), options)
    report.check()
    return Translation(tree, comments, report.notices, flags["output_dir"].value)


def _model(named: Said, report: Report) -> Named | None:
    if named.value:
        return MODELS.find(named, report)
    report.problem(named.place, "no file names a model; write model: AttentionSeq2Seq or model: BasicSeq2Seq")
    return None


def _sections(flags: Answers, given: Answers, model: Named, report: Report) -> Part:
    training, validation = texts(flags, "train", report), texts(flags, "dev", report)
    check_alike(training, validation, report)
    if training.corpora is not None and validation.corpora is None:
        report.notices.append("no text to validate on was named: some of the training text is held out for that")
    measured, segmentation = metrics(flags["metrics"], report)
    sections = {
        "task": task(measured, training),
        "data": data(training, validation, given),
        "tokenizer": tokenizers(training, segmentation, flags, given, report),
        "model": model.make(given, report),
        "train": train(flags, given, measured, report),
        "search": search(given),
        "hooks": hooks(flags["hooks"], report),
        "seed": seed(flags["tf_random_seed"]),
    }
    return sections if sections["hooks"] else {key: part for key, part in sections.items() if key != "hooks"}
