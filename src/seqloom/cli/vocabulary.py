"""`seqloom vocabulary`: which symbols a text has, and how often."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from seqloom.errors import DataError, UsageError


def command(
    text: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="The text; else standard input.")] = None,
    min_frequency: Annotated[
        int,
        typer.Option("--min-frequency", "--min_frequency", help="Leave out what is not there more often than this."),
    ] = 0,
    max_size: Annotated[
        int | None, typer.Option("--max-vocab-size", "--max_vocab_size", help="The most symbols, the frequent ones.")
    ] = None,
    downcase: Annotated[bool, typer.Option("--downcase", help="Make all text lower case first.")] = False,
    delimiter: Annotated[str, typer.Option("--delimiter", help="What separates symbols; '' for characters.")] = " ",
) -> None:
    """Print the symbols of a text, the frequent ones first, each with a tab and how often it is there.

    The list is what the tokenizer VocabularyFile reads.
    """
    from seqloom.cli.lines import input_lines
    from seqloom.tokenizers.vocabulary_file import tokens_of

    if min_frequency < 0:
        raise UsageError(f"--min-frequency must be 0 or more, got {min_frequency}")
    if max_size is not None and max_size < 1:
        raise UsageError(f"--max-vocab-size must be at least 1, got {max_size}")
    lines = (line.lower() if downcase else line for line in input_lines(text))
    counts = Counter(token for line in lines for token in tokens_of(line, delimiter))
    found = sorted(((count, token) for token, count in counts.items() if count > min_frequency), reverse=True)
    if not found:
        what = f"no symbol more than {min_frequency} times" if counts else "no text"
        raise DataError(f"{text or 'standard input'}: there is {what}")
    for count, token in found[:max_size]:
        print(f"{token}\t{count}")
    sys.stdout.flush()
