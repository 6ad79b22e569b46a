"""`seqloom check`: everything that can be said of a configuration without training."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from seqloom.cli.google_seq2seq import read, with_flags
from seqloom.errors import SeqloomError


@with_flags
def command(
    config: Annotated[
        Path | None, typer.Argument(help="The YAML file; also one of google/seq2seq's.", show_default=False)
    ] = None,
    changes: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Changes to it, such as train.steps=1000.")
    ] = None,
    flags: Mapping[str, Any] = {},  # noqa: B006 - never changed
) -> None:
    """Check a configuration and its data, and say what training would cost.

    The configuration with every default filled in goes to standard output, all else to standard error.  The data are
    read and prepared (and cached for training) and looked at, the model is built, and a few steps and a small
    validation are tried; nothing else is kept.
    """
    from seqloom.config import describe, dump
    from seqloom.doctor import diagnose
    from seqloom.fitting import fitted

    chosen, directory = read(config, changes or (), flags)
    chosen = fitted(chosen, directory)
    print(dump(describe(chosen)), end="", flush=True)
    counts = Counter[str]()
    for finding in diagnose(chosen, directory):
        counts[finding.severity] += 1
        print(f"seqloom: {finding}", file=sys.stderr, flush=True)
    if counts["stop"]:
        raise SeqloomError(f"{config or 'this'} can't be trained with")
    warnings = f"fit to train with; {_number(counts['warning'])} above" if counts["warning"] else "fine"
    print(f"seqloom: {config or 'this'} is {warnings}", file=sys.stderr)


def _number(warnings: int) -> str:
    return f"{warnings} warning{'s' * (warnings != 1)}"
