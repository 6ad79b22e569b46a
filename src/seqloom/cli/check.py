"""`seqloom check`: everything that can be said of a configuration without training."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer


def command(
    config: Annotated[Path, typer.Argument(help="The YAML file.", show_default=False)],
    changes: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Changes to it, such as train.steps=1000.")
    ] = None,
) -> None:
    """Check a configuration and its data, and say what training would cost.

    The configuration with every default filled in goes to standard output, all else to standard error.  The data are
    read and prepared (and cached for training), the model is built, and a few steps are tried; nothing else is kept.
    """
    from seqloom.config import describe, dump
    from seqloom.config.root import read_config
    from seqloom.rehearsal import rehearse

    read = read_config(config, changes or ())
    print(dump(describe(read)), end="", flush=True)
    for line in rehearse(read).lines():
        print(f"seqloom: {line}", file=sys.stderr)
    print(f"seqloom: {config} is fine", file=sys.stderr)
