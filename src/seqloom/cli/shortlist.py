"""`seqloom shortlist`: which words are worth looking at in a translation."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer


def command(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The run directory of the model.", show_default=False)],
    most_common: Annotated[
        int, typer.Option("--most-common", min=0, help="So many symbols are looked at in every sentence.")
    ] = 1000,
    each: Annotated[int, typer.Option("--each", min=1, help="And so many for each symbol of the source.")] = 50,
    most_pairs: Annotated[
        int, typer.Option("--most-pairs", min=1, help="Read so many pairs of the training data at the most.")
    ] = 200_000,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Where to.", show_default="RUN/shortlist.safetensors"),
    ] = None,
) -> None:
    """Learn from a run's training data which target symbols go with which source symbols, for --shortlist.

    A translation is then looked for among these only, which is faster, on the native engine and in exports made later.
    """
    from seqloom.shortlists import NAME, learn

    learnt = learn(run, common=most_common, each=each, most_pairs=most_pairs)
    place = output or run / NAME
    learnt.shortlist.save(place)
    print(
        f"seqloom: wrote {place}, learnt from {learnt.pairs:,} pairs; "
        f"it has {learnt.covered:.1%} of the validation data's target symbols",
        file=sys.stderr,
    )
