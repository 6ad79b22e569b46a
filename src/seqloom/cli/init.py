"""`seqloom init`: a YAML file to start from, made for the user's data."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from seqloom.errors import UsageError


def command(
    source: Annotated[Path, typer.Option("--source", help="Text to learn from, one a line.", show_default=False)],
    target: Annotated[Path, typer.Option("--target", help="What each should become.", show_default=False)],
    valid_source: Annotated[Path | None, typer.Option("--valid-source", help="The same to validate on.")] = None,
    valid_target: Annotated[Path | None, typer.Option("--valid-target", help="The same to validate on.")] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="The YAML file to write.")] = Path("config.yml"),
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
) -> None:
    """Look at your parallel text and write a commented YAML file that suits it.

    Without --valid-source and --valid-target, some of the text is held out to validate on.
    """
    from seqloom.config.starter import starter
    from seqloom.data.corpora import CorpusOptions

    if (valid_source is None) != (valid_target is None):
        raise UsageError("--valid-source and --valid-target belong together: give both or neither")
    if output.exists() and not force:
        raise UsageError(f"{output} is there already; choose another name with -o, or replace it with --force")
    valid = CorpusOptions(source=valid_source, target=valid_target) if valid_source else None
    text = starter(CorpusOptions(source=source, target=target), valid, directory=output.absolute().parent)
    output.write_text(text, "utf8")
    print(
        f"seqloom: wrote {output}; look at it, then: seqloom check {output}    and: seqloom train {output}",
        file=sys.stderr,
    )
