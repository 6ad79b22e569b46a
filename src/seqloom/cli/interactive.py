"""A conversation: a line is read, and its translation appears as it comes."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Iterator
from dataclasses import fields
from typing import TYPE_CHECKING

from seqloom.cli.groups import Group
from seqloom.cli.notices import tell_truncated
from seqloom.errors import SeqloomError, UsageError

if TYPE_CHECKING:
    from seqloom.search import SearchOptions
    from seqloom.translate import Translator

PROMPT = "> "


def check_alone(*groups: Group, **others: object) -> None:
    """Raises UsageError, naming the option, if one was given that makes no sense in a conversation."""
    for group in groups:
        others |= {field.name: getattr(group, field.name) != field.default for field in fields(group)}
    for name, given in others.items():
        if given:
            option = f"--{name.replace('_', '-')}"
            raise UsageError(f"--interactive reads what is typed and writes plain text; leave out {option}")


class Interrupted(SeqloomError):
    """Whoever typed has had enough; the command doesn't wait for the translation under way, and exits with 130."""

    exit_code = 130


def converse(translator: Translator, options: SearchOptions, tag: str | None) -> None:
    """Translate line by line until there is no more; on a terminal, what is certain so far is shown at once."""
    translator.check(options, tag)
    try:
        for number, line in enumerate(_lines()):
            _answer(translator, options, tag, line)
            if translator.truncates(line, options, tag=tag):
                tell_truncated(number, options.max_source_length)
    except KeyboardInterrupt:
        if sys.stdout.isatty():
            print()
        raise Interrupted("interrupted") from None


def _answer(translator: Translator, options: SearchOptions, tag: str | None, line: str) -> None:
    from seqloom.cli.lines import one_line

    texts = (one_line(text) for text in translator.stream_tokens(line, options, tag=tag))
    if sys.stdout.isatty():
        show(texts)
    else:
        *_, last = texts
        print(last, flush=True)


def show(texts: Iterable[str]) -> None:
    """Write a text that grows, in place; where it changes, it is written anew."""
    before = ""
    for text in texts:
        sys.stdout.write(text[len(before) :] if text.startswith(before) else f"{_erasing(before)}{text}")
        sys.stdout.flush()
        before = text
    print(flush=True)


def _erasing(text: str) -> str:
    """What takes a terminal back to the beginning of this text and clears it away."""
    rows = max(0, len(text) - 1) // shutil.get_terminal_size().columns
    return f"\x1b[{rows}A\r\x1b[J" if rows else "\r\x1b[J"


def _lines() -> Iterator[str]:
    """What is typed, with a prompt and a history; or the lines of standard input, where that is no terminal."""
    if not sys.stdin.isatty():
        from seqloom.cli.lines import input_lines

        yield from input_lines(None)
        return
    import readline  # noqa: F401 - input() has a history then

    while True:
        try:
            yield input(PROMPT)
        except EOFError:
            print()
            return
