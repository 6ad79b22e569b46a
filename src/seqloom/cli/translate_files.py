"""`seqloom translate-files`: files of any size, by any number of workers."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from seqloom.cli import bulk, options


def command(
    run: bulk.Run,
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="Text, or patterns in quotes.", show_default=False)
    ],
    output: bulk.Directory,
    search: options.Search,
    work: bulk.Work,
    model: options.Model,
    tag: options.Tag = None,
) -> None:
    """Translate files into DIR/target.txt, a line for each line; DIR/source.txt has the lines themselves.

    The same command goes on where it was stopped, and as often as you like at once: the processes share the work.
    """
    from seqloom.bulk.corpus import write_corpus
    from seqloom.bulk.inputs import Inputs
    from seqloom.bulk.results import Found
    from seqloom.bulk.workers import Model, begin, rank
    from seqloom.data.rows import Pair

    def line(number: int, row: Pair, found: Found) -> Pair:
        return row[0], found.texts[0] if found.texts else ""

    def make() -> dict[str, Any]:
        return write_corpus(output, job.rows(), line)

    loaded = Model(run, **vars(model))
    translator = loaded.load()
    how = options.search(translator.options, search)
    job = options.checked(
        begin,
        translator=translator,
        directory=output,
        inputs=Inputs(tuple(files)),
        options=how,
        tag=tag,
        shard_lines=work.shard_lines,
    )
    report = bulk.finish(translator, job, make=make, asked={}, model=loaded, work=work)
    if rank() == 0:
        print(f"seqloom: {output / 'target.txt'} has {report['lines']:,} lines", file=sys.stderr)
