"""`seqloom report`: the story of a run, made again from its files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer


def command(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run directory.", show_default=False)],
) -> None:
    """Write RUN/report.html, how a training went and what it made, and the model card RUN/README.md.

    `seqloom train` does so at every validation.  The page is one file that opens offline.
    """
    from seqloom.runs import check_is_run
    from seqloom.story import write

    check_is_run(run)
    for path in write(run):
        print(f"seqloom: wrote {path}", file=sys.stderr)
