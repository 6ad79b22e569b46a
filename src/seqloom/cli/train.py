"""`seqloom train`: from a YAML file to a trained model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from seqloom.cli.google_seq2seq import read, with_flags


@with_flags
def command(
    config: Annotated[
        Path | None, typer.Argument(help="The YAML file; also one of google/seq2seq's.", show_default=False)
    ] = None,
    changes: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Changes to it, such as train.steps=1000.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="RUN", help="The run directory; by default runs/NAME.")
    ] = None,
    profile: Annotated[
        bool, typer.Option("--profile", help="Record five steps: RUN/trace.json for a viewer, the longest told.")
    ] = False,
    flags: Mapping[str, Any] = {},  # noqa: B006 - never changed
) -> None:
    """Train a model; the same command again goes on where it stopped.

    Validation decodes freely and reports BLEU, chrF and exact match beside the loss; RUN/report.html shows how it goes.
    Ctrl-C saves and stops.
    """
    from seqloom.cli.progress import ProgressDisplay
    from seqloom.hooks.trace import Profile
    from seqloom.ranks import environment
    from seqloom.runs import train
    from seqloom.story import Story
    from seqloom.train import Interrupted

    chosen, directory = read(config, changes or (), flags)
    directory = output or directory
    with ProgressDisplay(chosen.train.steps, chosen.train.keep_best) as display:
        try:
            traced = [Profile(directory)] if profile else []
            progress = train(chosen, directory, hooks=[display, Story(directory), *traced])
        except Interrupted as stop:
            raise Interrupted(
                f"{stop}; everything is saved in {directory}: the same command goes on from there", stop.exit_code - 128
            ) from None
    if environment()[0] == 0:  # the rank that speaks for all
        display.close(progress, directory)
