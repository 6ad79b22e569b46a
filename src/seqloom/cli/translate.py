"""`seqloom translate`: lines in, lines out."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from seqloom.cli import glossary as glossaries
from seqloom.cli import guard as guards
from seqloom.cli import options
from seqloom.cli.interactive import check_alone, converse
from seqloom.cli.prefixes import Prefix
from seqloom.cli.reranking import Reranking
from seqloom.cli.writers import Output


def command(
    runs: options.Runs,
    search: options.Search,
    models: options.Models,
    output: Output,
    reranking: Reranking,
    prefix: Prefix,
    input: Annotated[Path | None, typer.Option("--input", "-i", help="Read this file, not standard input.")] = None,
    tag: options.Tag = None,
    glossary: glossaries.Option = None,
    guard: guards.Option = None,
    interactive: Annotated[
        bool, typer.Option("--interactive", help="Translate what is typed, shown as it comes.")
    ] = False,
) -> None:
    """Translate standard input to standard output: one line in is one line out, as it comes, empty ones included.

    With --n-best and without --json, lines are "NUMBER ||| TEXT ||| FEATURES ||| SCORE", numbers counted from 0.
    """
    if interactive:
        check_alone(output, reranking, prefix, input=input, glossary=glossary, guard=guard)
        translator = options.translator(runs, models)
        return converse(translator, options.search(translator.options, search), tag)

    from seqloom.cli.lines import input_groups
    from seqloom.cli.notices import UnknownNotice, tell_truncated
    from seqloom.reranking import reranked

    writer, prefixes = output.writer(), prefix.lines()
    reranking.check()
    translator = options.translator(runs, models)
    chosen = reranking.search(options.search(translator.options, search, n_best=output.n_best))
    translator.check(chosen, tag)  # before anyone waits for input
    reranker = reranking.reranker(chosen, models, tag)
    terms, honoured = glossaries.read(glossary, chosen), glossaries.Honoured()
    guarded, watched = guards.guard(runs[0], guard is not False), guards.Watched()
    asked = {"attention": writer.attention, "words": writer.words}
    first, notice = 0, UnknownNotice()
    for group in input_groups(input):
        begun = prefixes.next(len(group))
        translations = translator.stream(
            group, chosen, tag=tag, glossary=terms, prefixes=begun, guard=guarded, first=first, **asked
        )
        for number, translation in enumerate(reranked(translations, reranker) if reranker else translations, first):
            honoured.hear(number, translation.glossary)
            watched.hear(translation)
            notice.hear(translation)
            if translation.truncated:
                tell_truncated(number, chosen.max_source_length)
            writer.write(number, translation)
        first += len(group)
        sys.stdout.flush()
        notice.give()
    prefixes.finish()
    watched.give()
    if terms:
        honoured.give()
