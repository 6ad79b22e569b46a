"""`seqloom convert`: another program's configuration as ours."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from seqloom.cli.google_seq2seq import translated, with_flags


@with_flags
def command(
    program: Annotated[Literal["google-seq2seq"], typer.Argument(help="Whose files they are.", show_default=False)],
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="[FILE]...", help="Its YAML files; later ones change earlier ones.")
    ] = None,
    flags: Mapping[str, Any] = {},  # noqa: B006 - never changed
) -> None:
    """Print the Seqloom configuration that files and flags of another program amount to, with comments.

    google-seq2seq: the YAML files, train_options.json and flags of github.com/google/seq2seq.
    """
    from seqloom.compat.google_seq2seq import written

    translation, paths = translated(files or [], flags)
    print(written(translation, [path.name for path in paths]), end="")
