"""`seqloom demo`: the whole of Seqloom in three minutes, on real data that it makes itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Where everything goes.")] = Path(
        "demo-run"
    ),
) -> None:
    """Train a model to read dates in twenty-nine languages, measure it, use it, and show what it looks at."""
    from seqloom.cli.progress import ProgressDisplay
    from seqloom.config.root import read_config
    from seqloom.demo import run
    from seqloom.runs import load, train

    config_file, sets = run.make_data(output)
    config = read_config(config_file)
    directory = output / "run"
    run.announce(config_file)
    with ProgressDisplay(config.train.steps, config.train.keep_best) as display:
        train(config, directory, hooks=[display])
    run.show(load(directory), sets, directory=directory, picture=output / "attention.html")
