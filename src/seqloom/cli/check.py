"""`seqloom check`: everything that can be said of a configuration without training."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from seqloom.cli.google_seq2seq import read, with_flags


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
    read and prepared (and cached for training), the model is built, and a few steps are tried; nothing else is kept.
    """
    from seqloom.config import describe, dump
    from seqloom.rehearsal import rehearse

    chosen, _ = read(config, changes or (), flags)
    print(dump(describe(chosen)), end="", flush=True)
    for line in rehearse(chosen).lines():
        print(f"seqloom: {line}", file=sys.stderr)
    print(f"seqloom: {config or 'this'} is fine", file=sys.stderr)
