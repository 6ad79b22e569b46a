"""`seqloom beam-tree`: the searches in a file of beams as pages."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from seqloom.errors import UsageError


def command(
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="What DumpBeams of `seqloom infer` wrote.", show_default=False)
    ] = None,
    data: Annotated[Path | None, typer.Option("--data", "-d", help="The same, by name.")] = None,
    vocab: Annotated[
        Path | None, typer.Option("--vocab", "-v", help="The target's vocabulary: a symbol a line. Else ids are shown.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", "--output-dir", "--output_dir", metavar="DIR", help="Where the pages go."),
    ] = None,
) -> None:
    """Draw every search in FILE as a tree, one offline page each: DIR/000000.html and so on."""
    from seqloom.inspect.arrays import load_searches
    from seqloom.inspect.beam_picture import BeamView
    from seqloom.inspect.beam_tree import beam_page

    path = file or data
    if path is None or output is None or (file and data):
        raise UsageError("name one file of beams, and a directory for the pages with -o")
    names, end = _names(vocab)
    traces = load_searches(path, end=end)
    output.mkdir(parents=True, exist_ok=True)
    for number, trace in enumerate(traces):
        if any(trace.steps):  # an empty line was not searched for
            page = output / f"{number:06d}.html"
            page.write_text(beam_page(BeamView(trace, names, title=f"Example {number}", subtitle=str(path))), "utf8")
            print(page)


def _names(vocab: Path | None) -> tuple[Mapping[int, str], int | None]:
    """What each number in the file stands for, and which one ends a target."""
    from seqloom.compat.google_seq2seq.inference import SPECIAL_NAMES, numbers
    from seqloom.tokenizers import VocabularyFile
    from seqloom.vocabulary import EOS

    if vocab is None:
        return {}, None
    tokenizer = VocabularyFile(path=vocab)
    tokenizer.train([])
    symbols = tokenizer.vocabulary.symbols
    theirs = numbers(len(symbols))
    listed = len(symbols) - len(SPECIAL_NAMES)
    names = {number: symbols[ours] for ours, number in theirs.items() if number < listed}
    return names | dict(enumerate(SPECIAL_NAMES, listed)), theirs[EOS]
