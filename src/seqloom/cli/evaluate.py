"""`seqloom evaluate`: how good a trained model is on a test set."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seqloom.cli import glossary as glossaries
from seqloom.cli import guard as guards
from seqloom.cli import options
from seqloom.errors import UsageError

if TYPE_CHECKING:
    from seqloom.glossary import Glossary
    from seqloom.search import SearchOptions
    from seqloom.translation import Translation


def command(
    runs: options.Runs,
    source: Annotated[Path, typer.Option("--source", help="The text to translate.", show_default=False)],
    reference: Annotated[Path, typer.Option("--reference", help="What it should become.", show_default=False)],
    search: options.Beam,
    models: options.Models,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write the translations here, too.")] = None,
    tokenize: Annotated[str, typer.Option("--tokenize", help="sacreBLEU's tokenization.")] = "13a",
    lowercase: Annotated[bool, typer.Option("--lowercase", help="Ignore case in BLEU.")] = False,
    smooth: Annotated[
        str, typer.Option("--smooth", help="BLEU's smoothing; with none for both, as multi-bleu.")
    ] = "exp",
    rouge: Annotated[bool, typer.Option("--rouge", help="Measure ROUGE-1, ROUGE-2 and ROUGE-L, too.")] = False,
    bootstrap: Annotated[int, typer.Option("--bootstrap", help="Resamples for the 95 % interval; 0 for none.")] = 1000,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    tag: options.Tag = None,
    glossary: glossaries.Option = None,
    guard: guards.Option = False,
) -> None:
    """Translate a test set and measure BLEU, chrF and exact match, each with signature and 95 % bootstrap interval.

    What is measured is what the model says; the guard against degenerate translations that `seqloom translate` has
    must be asked for.  Where the run puts pieces of words together again, the references are put together, too.  The
    scores of a run are kept in RUN/scores.jsonl, which `seqloom report RUN` shows.
    """
    import json as json_

    from seqloom.cli.lines import parallel_lines
    from seqloom.metrics import Bleu, Chrf, ExactMatch, Metric, Rouge
    from seqloom.metrics.journal import TestSet, keep

    if bootstrap < 0 or bootstrap == 1:
        raise UsageError(f"--bootstrap must be 0 (no interval) or at least 2 resamples, got {bootstrap}")
    bleu = options.checked(Bleu, tokenize=tokenize, lowercase=lowercase, smooth=smooth)
    metrics: list[Metric] = [
        bleu,
        Chrf(),
        ExactMatch(),
        *([Rouge(kind=kind) for kind in ("1", "2", "l")] if rouge else []),
    ]
    sources, references = parallel_lines(source, reference)
    translator = options.translator(runs, models)
    chosen = options.search(translator.options, search)
    terms, guarded = glossaries.read(glossary, chosen), guards.guard(runs[0], guard)
    hypotheses = _heard(translator.stream(sources, chosen, tag=tag, glossary=terms, guard=guarded), terms)
    if output:
        output.write_text("".join(f"{line}\n" for line in hypotheses), "utf8")
    references = [translator.tokenizers.target.restore(line) for line in references]
    scores = [metric.score(hypotheses, references, bootstrap=bootstrap) for metric in metrics]
    named = {metric.name: score for metric, score in zip(metrics, scores, strict=True)}
    if json:
        values = {name: score.as_dict() for name, score in named.items()}
        print(json_.dumps(values | {"beam_size": chosen.beam_size, "length_penalty": chosen.length_penalty}))
    else:
        for score in scores:
            print(score)
    if len(runs) == 1:
        how = {"checkpoint": models.checkpoint, "tag": tag, "search": _said(chosen, glossary, bool(guard))}
        keep(runs[0], TestSet.of(source, reference, [sources, references]), named, **how)


def _heard(translations: Iterable[Translation], terms: Glossary | None) -> list[str]:
    """The texts; what became of terms, and which were degenerate, is said on standard error."""
    honoured, watched, texts = glossaries.Honoured(), guards.Watched(), []
    for number, translation in enumerate(translations):
        honoured.hear(number, translation.glossary)
        watched.hear(translation)
        texts.append(translation.text)
    watched.give()
    if terms:
        honoured.give()
    return texts


def _said(search: SearchOptions, glossary: Path | None, guard: bool) -> dict[str, Any]:
    """How a search differs from what it is by default, and its two numbers that everybody asks for."""
    usual = asdict(type(search)())
    chosen = {key: value.name if isinstance(value, Path) else value for key, value in asdict(search).items()}
    said = {k: v for k, v in chosen.items() if v != usual[k] or k in ("beam_size", "length_penalty")}
    return said | ({"glossary": glossary.name} if glossary else {}) | ({"guard": True} if guard else {})
