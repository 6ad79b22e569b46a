"""`seqloom score`: how probable given translations are."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seqloom.cli import options

if TYPE_CHECKING:
    from seqloom.scoring import Scored


def command(
    runs: options.Runs,
    source: Annotated[Path, typer.Option("--source", help="The text that was translated.", show_default=False)],
    target: Annotated[Path, typer.Option("--target", help="Its translation, line by line.", show_default=False)],
    search: options.Normalisation,
    models: options.Models,
    json: Annotated[bool, typer.Option("--json", help="One JSON object a line, with words and tokens.")] = False,
    tag: options.Tag = None,
) -> None:
    """Score translations: one score a line, log-probabilities normalised for length as a search normalises them."""
    import json as json_

    from seqloom.data.corpora import CorpusOptions, read_pairs

    pairs = read_pairs(CorpusOptions(source=source, target=target))
    translator = options.translator(runs, models)
    chosen = options.search(translator.options, search)
    total = Total()
    for number, scored in enumerate(translator.score(pairs, chosen, tag=tag)):
        total.hear(number, scored)
        print(json_.dumps({"id": number} | scored.as_dict(), ensure_ascii=False) if json else f"{scored.score:.6f}")
    total.give()


class Total:
    """Says on standard error how probable a text is as a whole, and which lines were cut."""

    def __init__(self) -> None:
        self.lines, self.tokens, self.log_prob, self.impossible = 0, 0, 0.0, 0

    def hear(self, number: int, scored: Scored) -> None:
        """Count a line; those whose source is empty have no tokens."""
        if scored.truncated:
            print(f"seqloom: line {number + 1} is too long: only its beginning was scored", file=sys.stderr)
        self.lines, self.tokens = self.lines + 1, self.tokens + len(scored.token_log_probs)
        self.log_prob += sum(scored.token_log_probs)
        self.impossible += scored.log_prob == -math.inf

    def give(self) -> None:
        """Say it."""
        perplexity = math.exp(min(-self.log_prob / max(self.tokens, 1), 700))
        less = f"; {self.impossible:,} impossible and left out: of an empty source" if self.impossible else ""
        print(
            f"seqloom: {self.lines:,} lines, {self.tokens:,} tokens, log-probability {self.log_prob:.2f}, "
            f"perplexity {perplexity:.2f} per token{less}",
            file=sys.stderr,
        )
