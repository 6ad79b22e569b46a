"""`seqloom export`: a trained model as another program runs it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from seqloom.errors import SeqloomError, UsageError


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a user said of an export; None leaves what the format says."""

    run: Path
    output: Path | None
    precision: str | None
    checkpoint: str
    positions: int | None
    lines: int
    least_agreement: float | None
    most_bleu_loss: float
    verify: bool


def _ctranslate2(wanted: Wanted) -> Path:
    from seqloom.exporting.ctranslate2 import export

    place, comparison = export(
        wanted.run,
        wanted.output,
        precision=wanted.precision or "int8",
        checkpoint=wanted.checkpoint,
        positions=wanted.positions,
        lines=wanted.lines,
        least_agreement=wanted.least_agreement,
        most_bleu_loss=wanted.most_bleu_loss,
        verify=wanted.verify,
    )
    if comparison is not None:
        print(f"seqloom: {comparison}", file=sys.stderr)
    return place


def _marian_hf(wanted: Wanted) -> Path:
    from seqloom.compat.marian_hf import write
    from seqloom.runs import Trained

    if wanted.precision not in (None, "float32"):
        raise UsageError(f"--to marian-hf writes float32, got --precision {wanted.precision}")
    place = wanted.output or wanted.run / "exports" / "marian-hf"
    if wanted.verify:
        Trained.read(wanted.run, wanted.checkpoint).verify("cpu")
    write(wanted.run, place, checkpoint=wanted.checkpoint)
    return place


def _onnx(wanted: Wanted) -> Path:
    from seqloom.exporting.onnx import export

    if wanted.precision not in (None, "float32"):
        raise UsageError(f"--to onnx writes an encoder in float32, got --precision {wanted.precision}")
    return export(wanted.run, wanted.output, checkpoint=wanted.checkpoint, verify=wanted.verify)


# Each writes a directory and says where.
FORMATS: dict[str, Callable[[Wanted], Path]] = {"ctranslate2": _ctranslate2, "marian-hf": _marian_hf, "onnx": _onnx}


def command(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The run directory of the model.", show_default=False)],
    to: Annotated[str, typer.Option("--to", help=f"The format: {', '.join(FORMATS)}.", show_default=False)],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="Where to.", show_default="RUN/exports/FORMAT-PRECISION"),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option("--precision", help="float32, int8, int8_float32, int16, float16, bfloat16.", show_default="int8"),
    ] = None,
    checkpoint: Annotated[str, typer.Option("--checkpoint", help="best, last, or a step.")] = "best",
    positions: Annotated[
        int | None,
        typer.Option(
            "--positions", min=1, help="The most tokens of a sentence.", show_default="what the run's search needs"
        ),
    ] = None,
    lines: Annotated[
        int,
        typer.Option("--prove-lines", min=0, help="Validation lines to compare the engines on; 0 for none."),
    ] = 200,
    least_agreement: Annotated[
        float | None,
        typer.Option(
            "--least-agreement", min=0, max=1, help="Share of equal tokens.", show_default="0.99 in float32, else 0.75"
        ),
    ] = None,
    most_bleu_loss: Annotated[float, typer.Option("--most-bleu-loss", min=0, help="BLEU that may be lost.")] = 0.5,
    verify: Annotated[
        bool, typer.Option("--verify/--no-verify", help="See first whether the run makes of golden texts what it did.")
    ] = True,
) -> None:
    """Write a trained model as another program runs it, with all that translating takes.

    The directory can be used where a run can: seqloom translate DIR, seqloom evaluate DIR.  What it says of validation
    data is compared with what the run says; past a limit the exit code is 1, and --engine auto won't use the export.
    """
    if to not in FORMATS:
        raise UsageError(f"--to must be one of {', '.join(FORMATS)}, got {to!r}")
    wanted = Wanted(
        run=run,
        output=output,
        precision=precision,
        checkpoint=checkpoint,
        positions=positions,
        lines=lines,
        least_agreement=least_agreement,
        most_bleu_loss=most_bleu_loss,
        verify=verify,
    )
    place = FORMATS[to](wanted)
    size = sum(path.stat().st_size for path in place.rglob("*") if path.is_file())
    print(f"seqloom: wrote {place}, {size / 1e6:,.1f} MB", file=sys.stderr)
    if complaint := _complaint(place):
        raise SeqloomError(f"{place} is not proven: {complaint}. It is there, but --engine auto won't use it")


def _complaint(place: Path) -> str | None:
    from seqloom import bundles

    proof = bundles.Manifest.read(place).proof if bundles.is_bundle(place) else None
    return None if proof is None else proof["complaint"]
