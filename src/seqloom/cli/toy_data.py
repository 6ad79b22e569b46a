"""`seqloom toy-data`: parallel text that any model should learn, to see whether one does."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import typer

from seqloom.errors import UsageError

LAST = "笑"  # not ASCII, so that a program which can't cope with that is found out


def command(
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", "--output-dir", "--output_dir", metavar="DIR", help="Where.", show_default=False
        ),
    ],
    type: Annotated[Literal["copy", "reverse"], typer.Option("--type", help="What targets are.")] = "copy",
    symbols: Annotated[int, typer.Option("--vocab-size", "--vocab_size", help="How many symbols there are.")] = 100,
    examples: Annotated[int, typer.Option("--num-examples", "--num_examples", help="How many lines.")] = 10_000,
    shortest: Annotated[int, typer.Option("--min-len", "--min_len", help="The fewest symbols of a line.")] = 5,
    longest: Annotated[int, typer.Option("--max-len", "--max_len", help="The most symbols of a line.")] = 40,
    seed: Annotated[int, typer.Option("--seed", help="Another seed gives other lines.")] = 1,
) -> None:
    """Write DIR/sources.txt, random symbols, and DIR/targets.txt, the same or each line reversed."""
    for name, value in (("vocab-size", symbols), ("num-examples", examples), ("min-len", shortest)):
        if value < 1:
            raise UsageError(f"--{name} must be at least 1, got {value}")
    if longest < shortest:
        raise UsageError(f"--max-len must be at least --min-len, got {longest} and {shortest}")
    step = -1 if type == "reverse" else 1
    output.mkdir(parents=True, exist_ok=True)
    with (output / "sources.txt").open("w", encoding="utf8") as sources:
        with (output / "targets.txt").open("w", encoding="utf8") as targets:
            for line in random_lines(symbols, examples, (shortest, longest), seed):
                print(*line, file=sources)
                print(*line[::step], file=targets)
    print(f"seqloom: wrote {output / 'sources.txt'} and {output / 'targets.txt'}", file=sys.stderr)


def random_lines(symbols: int, count: int, lengths: tuple[int, int], seed: int) -> Iterator[list[str]]:
    """`count` lines, each of a random length between two, of symbols drawn evenly: 0, 1, 2, ..., and the last is 笑."""
    draw, known = random.Random(seed), [*map(str, range(symbols - 1)), LAST]
    for _ in range(count):
        yield draw.choices(known, k=draw.randint(*lengths))
