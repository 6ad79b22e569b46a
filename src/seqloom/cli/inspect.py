"""`seqloom inspect`: see what a model looks at, and how it searches."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seqloom.cli import options
from seqloom.errors import SeqloomError, UsageError

if TYPE_CHECKING:
    from seqloom.translate import Translation, Translator

FORMS = (".html", ".svg", ".json")


def command(
    runs: options.Runs,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="The text to translate.", show_default=False)],
    search: options.Beam,
    models: options.Models,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="A file ending in .html, .svg or .json.", show_default="attention.html"),
    ] = None,
    beam: Annotated[bool, typer.Option("--beam", help="Show the search as a tree (to beam.html).")] = False,
    tag: options.Tag = None,
) -> None:
    """Translate TEXT and show what was looked at when each token was chosen.

    The page opens offline and has every layer and head, and every hypothesis that the beam finished.  With --beam it
    shows the search instead: which hypotheses were kept, finished and pruned at every step, and their scores.
    """

    path = output or Path("beam.html" if beam else "attention.html")
    if path.suffix.lower() not in FORMS:
        raise UsageError(f"{path}: inspect writes .html, .svg and .json files")
    translator = options.translator(runs, models)
    chosen = options.search(translator.options, search)
    chosen = replace(chosen, n_best=chosen.beam_size)
    (translation,) = translator.translate([text], chosen, tag=tag, attention=not beam, trace=beam)
    if not translation.alternatives:
        raise UsageError("the text is empty: there is nothing to look at")
    draw = _search(translation, translator, chosen.beam_size) if beam else _attention(translation, runs)
    path.write_text(draw[path.suffix.lower()](), "utf8")
    print(translation.text)
    print(f"seqloom: wrote {path}", file=sys.stderr)


def _attention(translation: Translation, runs: list[Path]) -> dict[str, Callable[[], str]]:
    from seqloom.inspect import as_json, page, svg
    from seqloom.inspect.views import views_of

    views = views_of(translation)
    if not views:
        raise SeqloomError(f"the model in {' and '.join(map(str, runs))} has no attention over the source")
    title = translation.source
    return {".html": lambda: page(views, title=title), ".svg": lambda: svg(views[0]), ".json": lambda: as_json(views)}


def _search(translation: Translation, translator: Translator, beam_size: int) -> dict[str, Callable[[], str]]:
    from seqloom.inspect.beam_picture import beam_svg
    from seqloom.inspect.beam_tree import beam_json, beam_page
    from seqloom.inspect.views import search_of

    view = search_of(translation, translator.tokenizers.target, subtitle=f"beam {beam_size}")
    assert view is not None
    return {".html": lambda: beam_page(view), ".svg": lambda: beam_svg(view), ".json": lambda: beam_json(view)}
