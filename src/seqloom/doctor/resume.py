"""A run that goes on: whether there is anything left to do."""

from __future__ import annotations

from seqloom.doctor.findings import Finding, warning
from seqloom.train import Progress, TrainOptions


def nothing_left(progress: Progress, options: TrainOptions) -> Finding | None:
    """What to say of a run that stands where, by the configuration, training ends; None for one that trains on.

    Steps, minutes and patience count from the run's beginning, so the same configuration does nothing twice.
    """
    start = f"nothing to do: the run stands at step {progress.step:,}"
    if progress.step >= options.steps:
        return warning(
            f"{start} and train.steps is {options.steps:,}, counted from the run's beginning; "
            f"train.steps={2 * progress.step} would train as long again"
        )
    if options.minutes is not None and progress.seconds >= 60 * options.minutes:
        return warning(
            f"{start} and has trained for {progress.seconds / 60:.0f} minutes, of train.minutes: {options.minutes:g}, "
            "counted over all its starts; set more of them to train on"
        )
    if options.patience is not None and progress.waited >= options.patience:
        return warning(
            f"{start}, and {progress.waited} validations found nothing better than step {progress.best_step}, which is "
            f"as many as train.patience has; set more of it to train on"
        )
    return None
