"""Which curves a run's page shows."""

from __future__ import annotations

from collections.abc import Iterator

from seqloom.story.curves import Chart, Curve
from seqloom.story.record import FORCED, Record, label

MOST_CURVES = 6  # in a chart: more can't be told apart


def charts(record: Record) -> list[Chart]:
    """Loss, each measure, learning rate, gradient norm and speed; of what was never reported there is none."""
    shown = (chart for chart in _all(record) if chart.values)
    steps = 0, max(record.step, 1)
    return [Chart(**(vars(chart) | {"steps": steps})) for chart in shown]


def _all(record: Record) -> Iterator[Chart]:
    best = record.best["step"] if record.best else None
    yield Chart(
        "Loss",
        _curves(record, {"loss": "training"}, training=True) + _curves(record, {"valid.loss": "validation"}),
        log=True,  # so that what is gained late can be seen, too
        best=best,
        note=_difference(record),
    )
    for title, names in _families(record).items():
        yield Chart(title, _curves(record, names), from_zero=True, best=best)
    yield Chart("Learning rate", _curves(record, {"learning_rate": "rate"}, training=True), from_zero=True)
    left = len(record.skipped)
    note = f"{left:,} update{'s' * (left != 1)} left out, where the marks are" if left else ""
    norms = _curves(record, {"gradient_norm": "before clipping"}, training=True)
    yield Chart("Gradient norm", norms, log=True, note=note, marks=record.skipped)
    speed = _curves(record, {"tokens_per_second": "target tokens a second"}, training=True)
    yield Chart("Speed", speed, from_zero=True)


def _curves(record: Record, names: dict[str, str], *, training: bool = False) -> list[Curve]:
    lines = record.training if training else record.validations
    found = (Curve(shown, record.points(name, lines), marked=not training) for name, shown in names.items())
    return [curve for curve in found if curve.points][:MOST_CURVES]


def _families(record: Record) -> dict[str, dict[str, str]]:
    """The measures by title: those of single tags, and of teacher forcing, stand with the one they are part of."""
    families: dict[str, dict[str, str]] = {}
    for name in record.measures:
        plain, _, tag = name.removeprefix(FORCED).partition(".")
        if plain in ("loss", "perplexity"):  # a perplexity is a loss in other words
            continue
        shown = "teacher-forced" if name.startswith(FORCED) else tag or "validation"
        families.setdefault(label(plain), {})[f"valid.{name}"] = shown
    return families


def _difference(record: Record) -> str:
    """Why the two losses are not the same kind of number."""
    smoothing = record.option("train.label_smoothing")
    return "The training loss is label-smoothed and has dropout; the validation loss has neither." if smoothing else ""
