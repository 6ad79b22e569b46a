"""`seqloom backtranslate`: what monolingual text may have been translated from."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seqloom.cli import bulk, options
from seqloom.errors import UsageError

if TYPE_CHECKING:
    from seqloom.bulk.backtranslation import NoiseOptions


def command(
    run: bulk.Run,
    mono: Annotated[
        list[Path], typer.Option("--mono", help="Text, or a pattern in quotes; may be repeated.", show_default=False)
    ],
    output: bulk.Directory,
    work: bulk.Work,
    model: options.Model,
    method: Annotated[str, typer.Option("--method", help="greedy, beam, sampling, topk or noised-beam.")] = "sampling",
    beam_size: Annotated[int, typer.Option("--beam-size", "-b", help="Of beam and noised-beam.")] = 5,
    top_k: Annotated[int, typer.Option("--top-k", help="Of topk: draw out of the k likeliest tokens.")] = 10,
    temperature: Annotated[float, typer.Option("--temperature", help="Of sampling and topk.")] = 1.0,
    noise: Annotated[
        str | None, typer.Option("--noise", help="Of noised-beam: drop=.1,blank=.1,shuffle=3,symbol=<blank>.")
    ] = None,
    tag: Annotated[str | None, typer.Option("--tag", help="What is to stand before synthetic sources.")] = None,
    min_length: Annotated[int, typer.Option("--min-length", help="The fewest tokens of either side.")] = 1,
    max_length: Annotated[int, typer.Option("--max-length", help="The most tokens of either side.")] = 250,
    max_ratio: Annotated[float, typer.Option("--max-ratio", help="Of the longer side to the shorter.")] = 1.5,
    seed: Annotated[int, typer.Option("--seed", help="Decides all that is drawn, noise included.")] = 1,
) -> None:
    """Translate monolingual text back: RUN translates from the language that a new model is to write.

    DIR/source.txt has the synthetic sources, DIR/target.txt the text, DIR/report.json the counts.  The same command
    goes on where it was stopped, and as often as you like at once: the processes share the work.
    """
    from seqloom.bulk.backtranslation import BackTranslation, search_options
    from seqloom.bulk.corpus import Selection
    from seqloom.bulk.inputs import Inputs
    from seqloom.bulk.workers import Model, begin, rank

    _check_tag(tag)
    asked = options.checked(
        BackTranslation,
        method=method,
        selection=options.checked(Selection, min_length=min_length, max_length=max_length, max_ratio=max_ratio),
        noise=None if noise is None else _noise(noise),
        seed=seed,
    )
    loaded = Model(run, **vars(model))
    translator = loaded.load()
    how = options.checked(
        search_options,
        method=method,
        base=translator.options,
        beam_size=beam_size,
        top_k=top_k,
        temperature=temperature,
        seed=seed,
    )
    inputs = Inputs(tuple(mono))
    job = options.checked(
        begin, translator=translator, directory=output, inputs=inputs, options=how, shard_lines=work.shard_lines
    )
    report = bulk.finish(translator, job, make=asked.making(job), asked=asked.asked(), model=loaded, work=work)
    if rank() == 0:
        print(f"seqloom: {output}: {bulk.told(report)}{_told_noise(report['noise'])}", file=sys.stderr)
        print("\n".join(_next(run, output, tag)))


def _check_tag(tag: str | None) -> None:
    from seqloom.data.corpora import CorpusOptions

    if tag is not None:
        options.checked(CorpusOptions, source=Path(), target=Path(), tag=tag)


def _noise(text: str) -> NoiseOptions:
    """The noise in "drop=.1,blank=.1,shuffle=3"; what isn't said is as it is by default."""
    from seqloom.bulk.backtranslation import NoiseOptions

    kinds = {"drop": float, "blank": float, "shuffle": int, "symbol": str}
    chosen: dict[str, Any] = {}
    for part in text.split(","):
        name, _, value = part.strip().partition("=")
        try:
            chosen[name] = kinds[name](value)
        except (KeyError, ValueError):
            raise UsageError(f"--noise is a list such as drop=.1,blank=.1,shuffle=3, got {part!r}") from None
    return NoiseOptions(**chosen)


def _told_noise(noise: dict[str, int] | None) -> str:
    if not noise:
        return ""
    kept = noise["words"] - noise["dropped"]
    return (
        f"; of {noise['words']:,} words {noise['dropped']:,} were dropped, of the other {kept:,}"
        f" {noise['blanked']:,} blanked and {noise['moved']:,} moved, by {noise['farthest']} places at most"
    )


def _next(run: Path, output: Path, tag: str | None) -> Iterator[str]:
    """The lines of a configuration that mix the new corpus with the text that the reverse model was trained on."""
    from seqloom.config.root import read_config

    yield "# To train on both, in the YAML file of the forward model (upsample: how often an epoch holds the bitext):"
    yield "data:"
    yield "  train:"
    for corpus in read_config(run / "config.yml").data.train_corpora:
        if corpus.source and corpus.target:
            yield f"  - {{source: {said(corpus.target)}, target: {said(corpus.source)}, upsample: 1}}"
        else:
            yield f"  # - {corpus.name}, with source and target changed about, and upsample: 1"
    end = f", tag: {quoted(tag)}" if tag else ""
    yield f"  - {{source: {said(output / 'source.txt')}, target: {said(output / 'target.txt')}{end}}}"


def said(paths: Path | list[Path]) -> str:
    """These paths as a configuration in any directory may name them."""
    files = paths if isinstance(paths, list) else [paths]
    names = [quoted(str(Path(path).absolute()).replace("$", "$$")) for path in files]
    return f"[{', '.join(names)}]" if isinstance(paths, list) else names[0]


def quoted(text: str) -> str:
    """The text as YAML, whatever is in it."""
    import json

    return json.dumps(text, ensure_ascii=False)  # a JSON string is a YAML string
