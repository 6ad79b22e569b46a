"""`seqloom inspect`: see what a model looks at."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from seqloom.cli import options
from seqloom.errors import SeqloomError, UsageError


def command(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run directory.", show_default=False)],
    text: Annotated[str, typer.Argument(metavar="TEXT", help="The text to translate.", show_default=False)],
    output: Annotated[Path, typer.Option("--output", "-o", help="A file ending in .html, .svg or .json.")] = Path(
        "attention.html"
    ),
    beam_size: options.BeamSize = None,
    length_penalty: options.LengthPenalty = None,
    max_length: options.MaxLength = None,
    checkpoint: options.Checkpoint = "best",
    device: options.Device = "auto",
) -> None:
    """Translate TEXT and show what was looked at when each token was chosen.

    The page opens offline and has every layer and head, and every hypothesis that the beam finished.
    """
    from dataclasses import replace

    from seqloom.inspect import as_json, page, svg
    from seqloom.inspect.views import views_of
    from seqloom.runs import load

    form = output.suffix.lower()
    if form not in (".html", ".svg", ".json"):
        raise UsageError(f"{output}: inspect writes .html, .svg and .json files")
    translator = load(run, checkpoint=checkpoint, device=device)
    chosen = options.search(
        translator.options, beam_size=beam_size, length_penalty=length_penalty, max_length=max_length
    )
    chosen = replace(chosen, n_best=chosen.beam_size)
    (translation,) = translator.translate([text], chosen, attention=True)
    if not translation.alternatives:
        raise UsageError("the text is empty: there is nothing to look at")
    views = views_of(translation)
    if not views:
        raise SeqloomError(f"the model in {run} has no attention over the source")
    picture = {".html": lambda: page(views, title=text), ".svg": lambda: svg(views[0]), ".json": lambda: as_json(views)}
    output.write_text(picture[form](), "utf8")
    print(translation.text)
    print(f"seqloom: wrote {output}", file=sys.stderr)
