"""`seqloom prove`: golden texts for a run that has none, or whose have come to be others."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer


def command(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run directory.", show_default=False)],
    input: Annotated[
        Path | None, typer.Option("--input", "-i", help="Lines to choose from.", show_default="the validation data")
    ] = None,
    count: Annotated[int, typer.Option("--count", min=1, help="How many texts.")] = 16,
) -> None:
    """Keep what RUN's best model makes of some texts, in RUN/golden.json; whenever it is loaded it makes them again.

    A finished training has done so.  This is for older runs, and where a change is meant to be.
    """
    from seqloom.config.root import read_config
    from seqloom.data.text import read_lines
    from seqloom.errors import UsageError
    from seqloom.proof import FILE, chosen_texts
    from seqloom.runs import GOLDEN_FROM, check_is_run, prove, valid_pairs

    check_is_run(run)
    if input is not None:
        texts = [text for text in read_lines(input) if text is not None]
    else:
        texts = [source for source, _ in valid_pairs(read_config(run / "config.yml").data, GOLDEN_FROM)]
    golden = prove(run, chosen_texts(texts, count))
    if golden is None:
        raise UsageError(f"{run} reads files, not text: it can keep no golden texts")
    print(f"seqloom: wrote {run / FILE}, {len(golden.triples)} golden texts", file=sys.stderr)
