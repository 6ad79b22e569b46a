"""What the subcommands that translate files have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seqloom.cli.groups import Group
from seqloom.errors import UsageError

if TYPE_CHECKING:
    from seqloom.bulk.job import Job
    from seqloom.bulk.workers import Model
    from seqloom.translate import Translator

Run = Annotated[Path, typer.Argument(metavar="RUN", help="The run directory of the model.", show_default=False)]
Directory = Annotated[
    Path, typer.Option("--output", "-o", metavar="DIR", help="The directory that workers share.", show_default=False)
]


@dataclass(frozen=True, kw_only=True)
class Work(Group):
    """How the work is shared."""

    shard_lines: Annotated[int, typer.Option("--shard-lines", help="Lines that a worker does at a time.")] = 10_000
    ray: Annotated[
        str | None, typer.Option("--ray", metavar="ADDRESS", help="Work on this Ray cluster; local starts one here.")
    ] = None
    workers: Annotated[
        int | None, typer.Option("--workers", help="Of --ray: how many; by default, one a CPU or GPU.")
    ] = None


def finish(
    translator: Translator,
    job: Job,
    *,
    make: Callable[[], dict[str, Any]],
    asked: dict[str, Any],
    model: Model,
    work: Work,
) -> dict[str, Any]:
    """Take part in a job until all is done, here or on a Ray cluster, and give its report."""
    from seqloom.bulk.workers import on_ray, translating

    if work.workers is not None and (work.ray is None or work.workers < 1):
        raise UsageError(f"--workers is a number above 0, and for --ray alone, got {work.workers}")
    if work.ray is not None:
        on_ray(model, job, address=work.ray, workers=work.workers)
    return job.finish(translating(translator, job), make, asked)


def told(report: dict[str, Any]) -> str:
    """How many lines there were, and what became of them, in a sentence."""
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in report["dropped"].items())
    return f"{report['kept']:,} of {report['lines']:,} pairs kept{f'; left out: {reasons}' if reasons else ''}"
