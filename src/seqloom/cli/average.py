"""`seqloom average`: one model out of several checkpoints."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from seqloom.errors import UsageError


def command(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run directory.", show_default=False)],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="NEWRUN", help="The run directory to make.", show_default=False)
    ],
    last: Annotated[int | None, typer.Option("--last", help="Take the newest so many checkpoints.")] = None,
    best: Annotated[int | None, typer.Option("--best", help="Take the best so many, by train.keep_best.")] = None,
    steps: Annotated[str | None, typer.Option("--steps", help="Take those of these steps: 3000,3500,4000.")] = None,
    verify: Annotated[
        bool, typer.Option("--verify/--no-verify", help="See first whether RUN makes of golden texts what it did.")
    ] = True,
) -> None:
    """Write a run directory whose model has the mean of the weights of RUN's checkpoints: all that it keeps, or some.

    A training keeps train.keep_last checkpoints beside the best one.
    """
    from seqloom.averaging import average

    taken = average(run, output, last=last, best=best, steps=_numbers(steps), verify=verify)
    print(f"seqloom: wrote {output}, the mean of steps {', '.join(map(str, taken))}", file=sys.stderr)
    _compare(run, output)


def _compare(run: Path, output: Path) -> None:
    from seqloom.proof import FILE, Golden, changes

    before, after = Golden.read(run / FILE), Golden.read(output / FILE)
    if before is not None and after is not None:
        count = f"{changes(before, after)} of {len(after.triples)}"
        print(f"seqloom: {count} golden texts become something else than with {run}", file=sys.stderr)


def _numbers(steps: str | None) -> list[int] | None:
    parts = None if steps is None else [part.strip() for part in steps.split(",")]
    if parts is not None and not all(part.isdecimal() for part in parts):
        raise UsageError(f"--steps is a list of steps such as 3000,3500, got {steps!r}")
    return None if parts is None else [int(part) for part in parts]
