"""`seqloom train`: from a YAML file to a trained model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    config: Annotated[Path, typer.Argument(help="The YAML file.", show_default=False)],
    changes: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Changes to it, such as train.steps=1000.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="RUN", help="The run directory; by default runs/NAME.")
    ] = None,
) -> None:
    """Train a model; the same command again goes on where it stopped.

    Validation decodes freely and reports BLEU, chrF and exact match beside the loss.  Ctrl-C saves and stops.
    """
    from seqloom.cli.progress import ProgressDisplay
    from seqloom.config.root import read_config
    from seqloom.runs import train
    from seqloom.train import Interrupted

    directory = output or Path("runs") / config.stem
    read = read_config(config, changes or ())
    with ProgressDisplay(read.train.steps, read.train.keep_best) as display:
        try:
            progress = train(read, directory, hooks=[display])
        except Interrupted as stop:
            raise Interrupted(
                f"{stop}; everything is saved in {directory}: the same command goes on from there", stop.exit_code - 128
            ) from None
    display.close(progress, directory)
