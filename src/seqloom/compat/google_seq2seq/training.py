"""The sections `data`, `tokenizer`, `task`, `train` and `search` of a translated file."""

from __future__ import annotations

from seqloom.compat.google_seq2seq.models import image_size, longest_target
from seqloom.compat.google_seq2seq.optimizers import optimizer, schedule
from seqloom.compat.google_seq2seq.pipelines import Texts
from seqloom.compat.google_seq2seq.rows import Part
from seqloom.compat.google_seq2seq.said import Answers, Report, Said
from seqloom.compat.google_seq2seq.tokenizers import Side, tokenizer

FOREVER = 1_000_000  # the steps that their tutorial sets for a real data set
ALL = 1_000_000  # more checkpoints, or sentences, than there will be
CHECKPOINT_SECONDS = 600


def data(training: Texts, validation: Texts, given: Answers) -> Part:
    """`data`; without `train` where no text is named."""
    section: Part = {}
    if training.corpora is not None:
        section["train"] = _one_or_more(training.corpora)
    if validation.corpora is not None:
        section["valid"] = _one_or_more(validation.corpora)
    target = given["target.max_seq_len"].to(lambda most: most - 1, "the target's start sign counted, and does not here")
    if "source.max_seq_len" in given:
        section["max_length"] = [given["source.max_seq_len"], target]
    else:
        section["max_length"] = target
    return {**section, "too_long": "cut"}


def _one_or_more(corpora: list[Part]) -> Part | list[Part]:
    return corpora[0] if len(corpora) == 1 else corpora


def tokenizers(training: Texts, segmentation: Said, flags: Answers, given: Answers, report: Report) -> Part:
    """`tokenizer`."""
    target = Side(_vocabulary("target", flags, given), training.target_delimiter, segmentation)
    if "vocab_source" not in given:  # an Image2Seq
        height, width = image_size(given, report)
        pixels = {"class": "Pixels", "height": height, "width": width}
        return {"source": pixels, "target": tokenizer(target, target, shared=Said(False), report=report)["target"]}
    source = Side(_vocabulary("source", flags, given), training.source_delimiter, segmentation)
    return tokenizer(source, target, shared=given["embedding.share"], report=report)


def _vocabulary(side: str, flags: Answers, given: Answers) -> Said:
    """The one of the command line, which wins as in their merging, or the model's."""
    return flags[f"vocab_{side}"] if flags[f"vocab_{side}"].value else given[f"vocab_{side}"]


def task(metrics: list[Part], training: Texts) -> Part:
    """`task`: they validated on everything, and saw the reference while they did."""
    if not metrics:
        bleu = Said("none", (), "no metrics were named; this is multi-bleu.perl's BLEU")
        metrics = [{"class": "Bleu", "tokenize": "none", "smooth": bleu}]
    if training.target_delimiter.value == "":
        characters = Said("char", (), "tokens are characters, and they counted tokens")
        metrics = [{**part, "tokenize": characters} if part["class"] == "Bleu" else part for part in metrics]
    free = Said(False, (), "true: with the reference's own beginning before each token, as google/seq2seq did")
    return {
        "class": "TranslationTask",
        "metrics": metrics,
        "teacher_forced": free,
        "valid_most": Said(ALL, (), "sentences: all of them, as google/seq2seq did"),
    }


def train(flags: Answers, given: Answers, metrics: list[Part], report: Report) -> Part:
    """`train`."""
    embeddings = given.get(
        "optimizer.clip_embed_gradients", Said(0.0, (), "of an image's model they clipped no others")
    )
    return {
        "steps": _steps(flags["train_steps"]),
        "batch_sentences": flags["batch_size"],
        "optimizer": optimizer(given, report),
        "schedule": schedule(given, report),
        "label_smoothing": Said(0.0, (), "there was none"),
        "clip": given["optimizer.clip_gradients"],
        "clip_embeddings": embeddings,
        "precision": Said("float32", (), "as google/seq2seq; auto is faster where the machine is good at bfloat16"),
        "validate_every": flags["eval_every_n_steps"],
        **_checkpoints(flags, report),
        "keep_last": flags["keep_checkpoint_max"].to(lambda most: most or ALL),
        "keep_best": "bleu" if not metrics or "Bleu" in [part["class"] for part in metrics] else "loss",
    }


def _steps(wanted: Said) -> Said:
    if wanted.value is None:
        return Said(FOREVER, (), "google/seq2seq went on for ever; --train-steps says when to end")
    return wanted


def _checkpoints(flags: Answers, report: Report) -> Part:
    """By steps or by seconds; and in any case before each validation, as theirs."""
    seconds, steps = flags["save_checkpoints_secs"], flags["save_checkpoints_steps"]
    if seconds.value and steps.value:
        report.problem(steps.place, "give save_checkpoints_steps or save_checkpoints_secs, not both")
    if steps.value:
        return {"checkpoint_every": steps}
    every = flags["eval_every_n_steps"].noted("at each validation")
    return {"checkpoint_every": every, "checkpoint_seconds": seconds if seconds.value else Said(CHECKPOINT_SECONDS)}


def search(given: Answers) -> Part:
    """`search`."""
    section = {
        "beam_size": given["inference.beam_search.beam_width"].to(lambda width: max(width, 1)),
        "length_penalty": given["inference.beam_search.length_penalty_weight"],
        "max_length": longest_target(given),
        "unknown": Said("show", (), "copy: the source's word instead; never: some other word"),
    }
    if "source.max_seq_len" in given:
        section["max_source_length"] = given["source.max_seq_len"]
    return section


def seed(wanted: Said) -> Said:
    """`seed`."""
    if wanted.value is None:
        return Said(1, (), "google/seq2seq drew another one each time")
    return wanted
