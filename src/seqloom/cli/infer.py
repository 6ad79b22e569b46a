"""`seqloom infer`: google/seq2seq's program for inference, with its flags and its tasks."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Protocol

import typer

from seqloom.cli import options
from seqloom.errors import SeqloomError, UsageError

if TYPE_CHECKING:
    from seqloom.compat.google_seq2seq.inference import DecodeText, DumpAttention, DumpBeams, Inference
    from seqloom.search import Trace
    from seqloom.tokenizers import Tokenizer
    from seqloom.translate import Translation, Translator

Flag = str | None


def command(
    tasks: Annotated[Flag, typer.Option("--tasks", metavar="YAML", help="A list of {class, params}.")] = None,
    model_dir: Annotated[
        Flag, typer.Option("--model-dir", "--model_dir", metavar="RUN", help="A run directory of Seqloom.")
    ] = None,
    input_pipeline: Annotated[
        Flag, typer.Option("--input-pipeline", "--input_pipeline", metavar="YAML", help="{class, params} of the text.")
    ] = None,
    model_params: Annotated[
        Flag,
        typer.Option("--model-params", "--model_params", metavar="YAML", help="The search: inference.beam_search.*"),
    ] = None,
    checkpoint_path: Annotated[
        Flag,
        typer.Option("--checkpoint-path", "--checkpoint_path", help="best, last, a step, or a path that ends in one."),
    ] = None,
    batch_size: Annotated[Flag, typer.Option("--batch-size", "--batch_size", help="Makes no difference here.")] = None,
    config_paths: Annotated[
        Flag,
        typer.Option(
            "--config-paths", "--config_paths", "--config-path", "--config_path", help="YAML files with these flags."
        ),
    ] = None,
    device: Annotated[str, typer.Option("--device", help="cpu, cuda, cuda:0, ..., or auto.")] = "auto",
) -> None:
    """Do what google/seq2seq's bin/infer.py does: decode text, and write down attention and beams.

    Tasks are DecodeText, DumpAttention and DumpBeams.  `seqloom translate` is the shorter way to text alone.
    """
    from dataclasses import replace
    from functools import partial

    from seqloom.runs import load

    flags = {
        "tasks": tasks,
        "model_dir": model_dir,
        "input_pipeline": input_pipeline,
        "model_params": model_params,
        "checkpoint_path": checkpoint_path,
        "batch_size": batch_size,
    }
    plan = _plan({name: value for name, value in flags.items() if value is not None}, config_paths or "")
    translator = load(plan.run, checkpoint=plan.checkpoint, device=device)
    search = options.checked(partial(replace, translator.options), **_search(plan))
    _check_delimiters(plan, translator)
    takers = _takers(plan, translator, search.beam_size)
    attention, trace = (any(getattr(taker, wanted) for taker in takers) for wanted in ("attention", "trace"))
    for translation in translator.stream(_lines(plan), search, attention=attention, trace=trace):
        for taker in takers:
            taker.take(translation)
    for taker in takers:
        taker.finish()


def _plan(flags: dict[str, str], config_paths: str) -> Inference:
    """What flags and files ask for; what there is to say about them goes to standard error."""
    from seqloom.compat.google_seq2seq import gather, read_file
    from seqloom.compat.google_seq2seq.inference import inference
    from seqloom.config.tree import text_of

    paths = [Path(part.strip()) for part in config_paths.split(",") if part.strip()]
    merged, notices = gather([read_file(text_of(path), str(path)) for path in paths], flags)
    plan = inference(merged)
    for notice in (*notices, *plan.notices):
        print(f"seqloom: {notice}", file=sys.stderr)
    return plan


def _search(plan: Inference) -> dict[str, object]:
    changes = dict(plan.search)
    if changes.get("dictionary"):
        changes["dictionary"] = Path(changes["dictionary"])
    return changes | {"n_best": 1}


def _check_delimiters(plan: Inference, translator: Translator) -> None:
    """Raises UsageError for a delimiter that is not the one the model was trained with."""
    from seqloom.compat.google_seq2seq.inference import DecodeText

    asked: list[tuple[str, str | None, Tokenizer]] = [
        ("source_delimiter", plan.delimiter, translator.tokenizers.source),
        *(("delimiter", t.delimiter, translator.tokenizers.target) for t in plan.tasks if isinstance(t, DecodeText)),
    ]
    for name, delimiter, tokenizer in asked:
        own = getattr(tokenizer, "separator", None)
        if delimiter is not None and own is not None and delimiter != own:
            raise UsageError(f"{name} is {delimiter!r}, but {plan.run} was trained with {own!r}; leave it out")


def _lines(plan: Inference) -> Iterator[str]:
    from seqloom.cli.lines import input_lines

    for source in plan.sources:
        yield from input_lines(Path(source))


class _Taker(Protocol):
    """What is done with translations as they come; the flags say what has to be kept of each."""

    attention: bool
    trace: bool

    def take(self, translation: Translation) -> None: ...

    def finish(self) -> None: ...


def _takers(plan: Inference, translator: Translator, beam_size: int) -> list[_Taker]:
    from seqloom.compat.google_seq2seq.inference import DecodeText, DumpAttention

    def taker(task: DecodeText | DumpAttention | DumpBeams) -> _Taker:
        if isinstance(task, DecodeText):
            return _Text(task)
        if isinstance(task, DumpAttention):
            return _Attention(task, plan.run)
        return _Beams(task, beam_size, len(translator.tokenizers.target.vocabulary))

    return [taker(task) for task in plan.tasks]


class _Text:
    """Prints a line for each."""

    attention = trace = False

    def __init__(self, task: DecodeText) -> None:
        self.segmentation = task.segmentation

    def take(self, translation: Translation) -> None:
        from seqloom.cli.lines import one_line
        from seqloom.tokenizers.segmentation import restored

        print(one_line(restored(translation.text, self.segmentation)).strip())  # type: ignore[arg-type]

    def finish(self) -> None:
        sys.stdout.flush()


class _Attention:
    """Writes attention_scores.npz, and a picture for each."""

    attention, trace = True, False

    def __init__(self, task: DumpAttention, run: str) -> None:
        from seqloom.inspect import AttentionView

        self.task, self.run, self.folder = task, run, Path(task.folder)
        self.views: list[AttentionView | None] = []
        self.folder.mkdir(parents=True, exist_ok=True)

    def take(self, translation: Translation) -> None:
        from seqloom.inspect import svg
        from seqloom.inspect.views import views_of

        views = views_of(translation)
        if translation.alternatives and not views:
            raise SeqloomError(f"DumpAttention needs attention over the source, and the model in {self.run} has none")
        if views and self.task.pictures:
            (self.folder / f"{len(self.views):05d}.svg").write_text(svg(views[0]), "utf8")
        self.views.append(views[0] if views else None)  # None for an empty line

    def finish(self) -> None:
        from seqloom.inspect.arrays import save_attention

        path = self.folder / "attention_scores.npz"
        save_attention(path, self.views)
        print(f"seqloom: wrote {path}", file=sys.stderr)


class _Beams:
    """Writes every search to one file."""

    attention, trace = False, True

    def __init__(self, task: DumpBeams, beam_size: int, symbols: int) -> None:
        self.path, self.beam_size, self.symbols = Path(task.file), beam_size, symbols
        self.traces: list[Trace] = []

    def take(self, translation: Translation) -> None:
        from seqloom.search import Trace

        self.traces.append(translation.trace or Trace(()))

    def finish(self) -> None:
        from seqloom.compat.google_seq2seq.inference import numbers
        from seqloom.inspect.arrays import save_searches

        save_searches(self.path, self.traces, beam_size=self.beam_size, numbers=numbers(self.symbols))
        print(f"seqloom: wrote {self.path}", file=sys.stderr)
