"""`seqloom distill`: a student that learns what its teacher says."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seqloom.cli import bulk, options
from seqloom.errors import UsageError

if TYPE_CHECKING:
    from seqloom.bulk.inputs import Inputs
    from seqloom.config.root import Config
    from seqloom.data.corpora import CorpusOptions


def command(
    teacher: Annotated[Path, typer.Argument(metavar="TEACHER", help="The teacher's run.", show_default=False)],
    work: bulk.Work,
    model: options.Model,
    student: Annotated[
        Path | None, typer.Argument(metavar="[STUDENT.yml]", help="The student's configuration, to train it, too.")
    ] = None,
    changes: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Changes to it, such as train.steps=1000.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The corpus's directory, or the student's run directory.")
    ] = None,
    sources: Annotated[
        list[Path] | None, typer.Option("--sources", help="Text, or a pattern in quotes; may be repeated.")
    ] = None,
    references: Annotated[
        list[Path] | None, typer.Option("--references", help="Of --sources: what they should become.")
    ] = None,
    method: Annotated[
        str, typer.Option("--method", help="beam; or interpolation, the most like the reference of the beam.")
    ] = "beam",
    beam_size: Annotated[int, typer.Option("--beam-size", "-b", help="The teacher's.")] = 5,
) -> None:
    """Let a teacher translate what a student is to be trained on (sequence-level distillation), and train the student.

    Without STUDENT.yml the corpus alone is made, of --sources or of what the teacher was trained on: DIR/source.txt and
    DIR/target.txt.  With it, the teacher's words take the place of the targets of its data.train.  Validation and tests
    stay as they are.
    """
    from seqloom.bulk.distillation import Distillation
    from seqloom.bulk.workers import Model, begin, rank

    if output is None:
        raise UsageError("say with --output where to write")
    if student is not None and sources:
        raise UsageError("--sources is for a corpus alone: a student has its own, data.train of its YAML file")
    asked = options.checked(Distillation, method=method)
    config = _config((student or teacher / "config.yml").absolute(), changes or [], teacher)
    inputs = list(_inputs(config, sources, references, method))
    places = _places(output if student is None else output / "distilled", len(inputs))
    loaded = Model(teacher, **vars(model))
    translator = loaded.load()
    how = asked.search_options(translator.options, beam_size=beam_size)
    for (said, tag), place in zip(inputs, places, strict=True):
        job = options.checked(
            begin,
            translator=translator,
            directory=place,
            inputs=said,
            options=how,
            tag=tag,
            shard_lines=work.shard_lines,
        )
        made = {"method": method}
        report = bulk.finish(translator, job, make=asked.making(job), asked=made, model=loaded, work=work)
        if rank() == 0:
            print(f"seqloom: {place}: {bulk.told(report)}", file=sys.stderr)
    if student is None:
        if rank() == 0:
            print("\n".join(_next(places, [tag for _, tag in inputs])))
    else:
        _train(_taught(config, [place.absolute() for place in places]), output)


def _config(path: Path, changes: Sequence[str], teacher: Path) -> Config:
    from seqloom.config.root import read_config
    from seqloom.runs import check_is_run

    check_is_run(teacher)
    return read_config(path, changes)


def _inputs(
    config: Config, sources: list[Path] | None, references: list[Path] | None, method: str
) -> Iterator[tuple[Inputs, str | None]]:
    """What is to be translated, and the tag to be put before it."""
    from seqloom.bulk.inputs import Inputs
    from seqloom.data.corpora import CorpusOptions

    if references and not sources:
        raise UsageError("--references goes with --sources")
    if sources and method == "interpolation" and not references:
        raise UsageError("--method interpolation compares with references: name them with --references")
    if sources and references:
        yield Inputs(corpus=options.checked(CorpusOptions, source=sources, target=references)), None
    elif sources:
        yield Inputs(tuple(sources)), None
    else:
        for corpus in config.data.train_corpora:
            yield Inputs(corpus=corpus), corpus.tag


def _places(directory: Path, count: int) -> list[Path]:
    return [directory] if count == 1 else [directory / str(number) for number in range(1, count + 1)]


def _taught(config: Config, places: Sequence[Path]) -> Config:
    """The student's configuration with the teacher's words in the place of its targets."""

    def taught(corpus: CorpusOptions, place: Path) -> CorpusOptions:
        pair: dict[str, Any] = {"source": place / "source.txt", "target": place / "target.txt"}
        return replace(corpus, tsv=None, jsonl=None, **pair)

    corpora = [taught(corpus, place) for corpus, place in zip(config.data.train_corpora, places, strict=True)]
    return replace(config, data=replace(config.data, train=corpora))


def _train(config: Config, run: Path) -> None:
    from seqloom.cli.progress import ProgressDisplay
    from seqloom.runs import train

    with ProgressDisplay(config.train.steps, config.train.keep_best) as display:
        progress = train(config, run, hooks=[display])
    display.close(progress, run)


def _next(places: Sequence[Path], tags: Sequence[str | None]) -> Iterator[str]:
    """The lines of a configuration that train a student on these corpora."""
    from seqloom.cli.backtranslate import quoted, said

    yield "# To train a student, in its YAML file:"
    yield "data:"
    yield "  train:"
    for place, tag in zip(places, tags, strict=True):
        end = f", tag: {quoted(tag)}" if tag else ""
        yield f"  - {{source: {said(place / 'source.txt')}, target: {said(place / 'target.txt')}{end}}}"
