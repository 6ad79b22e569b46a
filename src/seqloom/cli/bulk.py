"""What the subcommands that translate files have in common."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seqloom.errors import UsageError

if TYPE_CHECKING:
    from seqloom.bulk.job import Job
    from seqloom.bulk.workers import Model
    from seqloom.translate import Translator

Run = Annotated[Path, typer.Argument(metavar="RUN", help="The run directory of the model.", show_default=False)]
Directory = Annotated[
    Path, typer.Option("--output", "-o", metavar="DIR", help="The directory that workers share.", show_default=False)
]
ShardLines = Annotated[int, typer.Option("--shard-lines", help="Lines that a worker does at a time.")]
Ray = Annotated[
    str | None, typer.Option("--ray", metavar="ADDRESS", help="Work on this Ray cluster; local starts one here.")
]
Workers = Annotated[int | None, typer.Option("--workers", help="Of --ray: how many; by default, one a CPU or GPU.")]


def finish(
    translator: Translator,
    job: Job,
    *,
    make: Callable[[], dict[str, Any]],
    asked: dict[str, Any],
    model: Model,
    ray: str | None,
    workers: int | None,
) -> dict[str, Any]:
    """Take part in a job until all is done, here or on a Ray cluster, and give its report."""
    from seqloom.bulk.workers import on_ray, translating

    if workers is not None and (ray is None or workers < 1):
        raise UsageError(f"--workers is a number above 0, and for --ray alone, got {workers}")
    if ray is not None:
        on_ray(model, job, address=ray, workers=workers)
    return job.finish(translating(translator, job), make, asked)


def told(report: dict[str, Any]) -> str:
    """How many lines there were, and what became of them, in a sentence."""
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in report["dropped"].items())
    return f"{report['kept']:,} of {report['lines']:,} pairs kept{f'; left out: {reasons}' if reasons else ''}"
