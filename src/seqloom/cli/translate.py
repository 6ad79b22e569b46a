"""`seqloom translate`: lines in, lines out."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from seqloom.cli import glossary as glossaries
from seqloom.cli import options
from seqloom.vocabulary import SPECIALS, UNK

ENOUGH = 10  # tokens; a word or two say nothing of a text


def command(
    runs: options.Runs,
    search: options.Search,
    models: options.Models,
    input: Annotated[Path | None, typer.Option("--input", "-i", help="Read this file, not standard input.")] = None,
    n_best: Annotated[int | None, typer.Option("--n-best", help="Give so many translations of each line.")] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object a line, with scores and alternatives.")] = False,
    tag: options.Tag = None,
    glossary: glossaries.Option = None,
) -> None:
    """Translate standard input to standard output: one line in is one line out, as it comes, empty ones included.

    With --n-best and without --json, lines are "NUMBER ||| TEXT ||| SCORE", numbers counted from 0.
    """
    import json as json_

    from seqloom.cli.lines import input_groups, one_line

    translator = options.translator(runs, models)
    chosen = options.search(translator.options, search, n_best=n_best)
    translator.check_tag(tag)  # before anyone waits for input
    terms, honoured = glossaries.read(glossary, chosen), glossaries.Honoured()
    first, notice = 0, UnknownNotice()
    for group in input_groups(input):
        for number, translation in enumerate(
            translator.stream(group, chosen, tag=tag, glossary=terms, first=first), first
        ):
            honoured.hear(number, translation.glossary)
            notice.hear(translation.source_tokens)
            if translation.truncated:
                print(
                    f"seqloom: line {number + 1} is longer than {chosen.max_source_length} tokens: "
                    "only its beginning was translated",
                    file=sys.stderr,
                )
            if json:
                print(json_.dumps({"id": number} | translation.as_dict(), ensure_ascii=False))
            elif n_best:
                for alternative in translation.alternatives:
                    print(f"{number} ||| {one_line(alternative.text)} ||| {alternative.score:.4f}")
            else:
                print(one_line(translation.text))
        first += len(group)
        sys.stdout.flush()
        notice.give()
    if terms:
        honoured.give()


class UnknownNotice:
    """Says once, on standard error, that most of the input is unknown to the model: text prepared in another way."""

    def __init__(self) -> None:
        self.tokens, self.unknown, self.given = 0, 0, False

    def hear(self, tokens: Sequence[str]) -> None:
        """Count the tokens of a source."""
        self.tokens, self.unknown = self.tokens + len(tokens), self.unknown + tokens.count(SPECIALS[UNK])

    def give(self) -> None:
        """Say so if it is so of all that was heard, and was not said before."""
        if self.given or self.tokens < ENOUGH or 2 * self.unknown <= self.tokens:
            return
        self.given = True
        print(
            f"seqloom: {self.unknown:,} of the input's first {self.tokens:,} tokens are unknown to this model; its "
            "input must be cut into words and cased as its training data were",
            file=sys.stderr,
        )
