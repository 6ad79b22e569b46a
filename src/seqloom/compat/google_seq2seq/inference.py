"""Their program for inference: its flags and files as a plan of what to read, how to search and what to write."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from seqloom.compat.google_seq2seq.answers import answers, chosen, listed
from seqloom.compat.google_seq2seq.flags import INFER, TRAIN
from seqloom.compat.google_seq2seq.metrics import segmentation
from seqloom.compat.google_seq2seq.models import ATTENTION, SEARCH
from seqloom.compat.google_seq2seq.pipelines import PIPELINES
from seqloom.compat.google_seq2seq.rows import Family, Row
from seqloom.compat.google_seq2seq.said import Answers, Report, Said
from seqloom.compat.google_seq2seq.tasks import TASKS
from seqloom.config.tree import Tree
from seqloom.vocabulary import BOS, EOS, SPECIALS, UNK

SHARED = ("model_params", "batch_size")  # flags of both their programs
FLAGS = (*INFER, *(row for row in TRAIN if row.key in SHARED))
SPECIAL_NAMES = ("UNK", "SEQUENCE_START", "SEQUENCE_END")  # behind the symbols of their vocabulary files
_LENGTH = Row("source.max_seq_len", None, type=int)
_MEANT = (*SEARCH, _LENGTH, Row("decoder.params", {}))
_TRAINED = "it belongs to the trained model and can't be changed any more; leave it out"
_LINES = "write its sources as lines of a text file, and name that in source_files of a ParallelTextInputPipeline"


@dataclass(frozen=True)
class DecodeText:
    """Print what is decoded; `segmentation` says how pieces become words again."""

    delimiter: str | None  # None where nobody gave one
    segmentation: str


@dataclass(frozen=True)
class DumpAttention:
    """Write what was looked at into a folder, perhaps with pictures."""

    folder: str
    pictures: bool


@dataclass(frozen=True)
class DumpBeams:
    """Write what was searched to a file."""

    file: str


Task = DecodeText | DumpAttention | DumpBeams


@dataclass(frozen=True)
class Inference:
    """What their program was asked for; `search` are changes to the run's options."""

    run: str
    checkpoint: str  # best, last or a step
    sources: tuple[str, ...]
    delimiter: str | None  # between tokens of the source; None where nobody gave one
    search: Mapping[str, Any]
    tasks: tuple[Task, ...]
    notices: tuple[str, ...]


def inference(options: Tree) -> Inference:
    """What files and flags of theirs, merged by `gather`, ask for.

    Raises ConfigError with a sentence for everything that can't be done here.
    """
    report, names = Report(options), {row.key for row in FLAGS}
    for key in options.value.keys() - names:
        report.notice(Said(None, (key,)), "this is no flag of inference, and makes no difference here")
    own = {key: value for key, value in options.value.items() if key in names}
    flags = answers(Said(own, ()), FLAGS, report, owner="the command line")
    if flags["batch_size"].place:
        report.notice(flags["batch_size"], "sentences of like length are decoded together, so many as suit the machine")
    if not flags["model_dir"].value:
        report.problem(flags["model_dir"].place, "--model_dir is missing: name a run directory of Seqloom")
    sources, delimiter = _texts(flags["input_pipeline"], report)
    tasks, copying = _tasks(flags["tasks"], report)
    search = _search(flags["model_params"], report) | copying
    checkpoint = _checkpoint(flags["checkpoint_path"], report)
    report.check()
    return Inference(flags["model_dir"].value, checkpoint, sources, delimiter, search, tasks, tuple(report.notices))


def numbers(size: int) -> dict[int, int]:
    """Their number for each of our `size` symbols: the place in the vocabulary's file, special symbols behind it."""
    listed = size - len(SPECIALS)
    return {UNK: listed, BOS: listed + 1, EOS: listed + 2} | {len(SPECIALS) + i: i for i in range(listed)}


def _texts(said: Said, report: Report) -> tuple[tuple[str, ...], str | None]:
    """The files to read, and the delimiter of their tokens."""
    if not said.value:
        report.problem(said.place, "--input_pipeline is missing: write {class: ParallelTextInputPipeline, params: ...}")
        return (), None
    found = chosen(said, _pipelines(), report)
    if found is None:
        return (), None
    _, given = found
    if not given["source_files"].value:
        report.problem(given["source_files"].place or said.place, "source_files names no file to read")
    sources = tuple(str(item.value) for item in listed(given["source_files"]))
    return sources, given["source_delimiter"].value if given["source_delimiter"].place else None


def _pipelines() -> Family:
    """Their pipelines without what matters to training alone; text is read as it comes, and once."""
    rows = tuple(
        replace(row, notice="", refused="", type=row.type if row.key != "num_epochs" else int)
        for row in next(member.rows for member in PIPELINES.members if not member.refused)
    )
    members = tuple(
        replace(member, refused=f"its files can't be read; {_LINES}") if member.refused else replace(member, rows=rows)
        for member in PIPELINES.members
    )
    return replace(PIPELINES, members=members)


def _tasks(said: Said, report: Report) -> tuple[tuple[Task, ...], dict[str, Any]]:
    """What to write, and what DecodeText changes of the search."""
    made: list[Task] = []
    copying: dict[str, Any] = {}
    for item in listed(said):
        if found := chosen(item, TASKS, report):
            named, given = found
            made.append(_MAKERS[named.name](given, item, report))
            if named.name == "DecodeText":
                copying = _copying(given, report)
    if not said.value:
        report.problem(said.place, "--tasks is missing: write [{class: DecodeText}]")
    if sum(isinstance(task, DecodeText) for task in made) > 1:
        report.problem(said.place, "DecodeText is there twice; one of it prints what is decoded")
    return tuple(made), copying


def _decode_text(given: Answers, item: Said, report: Report) -> Task:
    undone = segmentation([given["postproc_fn"]], report)
    return DecodeText(given["delimiter"].value if given["delimiter"].place else None, undone.value)


def _dump_attention(given: Answers, item: Said, report: Report) -> Task:
    if not given["output_dir"].value:
        report.problem(item.place, "DumpAttention needs output_dir, the folder to write to")
    left_out = given["dump_attention_no_plot"].value or given["dump_atention_no_plot"].value
    return DumpAttention(given["output_dir"].value or "", given["dump_plots"].value and not left_out)


def _dump_beams(given: Answers, item: Said, report: Report) -> Task:
    if not given["file"].value:
        report.problem(item.place, "DumpBeams needs file, the npz file to write")
    return DumpBeams(given["file"].value or "")


_MAKERS = {"DecodeText": _decode_text, "DumpAttention": _dump_attention, "DumpBeams": _dump_beams}


def _copying(given: Answers, report: Report) -> dict[str, Any]:
    mapping = given["unk_mapping"]
    if given["unk_replace"].value:
        return {"unknown": "copy", "dictionary": mapping.value}
    if mapping.value:
        report.notice(mapping, "this is looked at with unk_replace: true only")
    return {}


def _search(said: Said, report: Report) -> dict[str, Any]:
    """The changes to the search that model parameters ask for; whatever is trained is refused."""
    meant = {row.key for row in _MEANT}
    fixed = (
        replace(row, default=None, type=row.type or type(row.default), refused=_TRAINED, notice="", choices=())
        for row in ATTENTION
        if row.key not in meant
    )
    given = answers(said, (*_MEANT, *fixed), report, owner="a model")
    width, penalty = (given[f"inference.beam_search.{key}"] for key in ("beam_width", "length_penalty_weight"))
    changes = {
        "beam_size": Said(max(width.value, 1), width.place),
        "length_penalty": penalty,
        "max_source_length": given["source.max_seq_len"],
        "max_length": _longest(given, report),
    }
    return {key: change.value for key, change in changes.items() if change.place is not None}


def _longest(given: Answers, report: Report) -> Said:
    """How long a target may be: the one key of a decoder that is not trained, or the one of their page."""
    params = given["decoder.params"]
    for key in params.value:
        if key != "max_decode_length":
            report.problem((*(params.place or ()), key), _TRAINED, "key")
    key = "max_decode_length"
    if key not in params.value:
        return given[f"inference.{key}"]
    own = Said({key: params.value[key]}, params.place)
    return answers(own, (Row(key, None, type=int),), report, owner="a decoder")[key]


def _checkpoint(said: Said, report: Report) -> str:
    """The newest where none was named, as theirs; a path means the step that it ends in."""
    if said.value in (None, "", "last", "best"):
        return said.value or "last"
    step = re.search(r"(\d+)/?$", said.value)
    if step is None:
        report.problem(said.place, f"expected best, last, or a step or a path that ends in one, got {said.value!r}")
    return str(int(step[1])) if step else "last"
