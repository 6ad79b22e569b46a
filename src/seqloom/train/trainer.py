"""The training loop, the same for every task and model."""

from __future__ import annotations

import math
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

import torch
from torch import nn

from seqloom.checkpoint import Checkpoint, Checkpoints
from seqloom.data.batches import Position
from seqloom.errors import SeqloomError, UsageError
from seqloom.hardware import return_freed_memory
from seqloom.ranks import ALONE, RankError, Ranks
from seqloom.registry import suggest
from seqloom.structures import Batch
from seqloom.tasks.base import Evaluation, Task
from seqloom.train.ahead import ahead
from seqloom.train.options import TrainOptions
from seqloom.train.progress import Progress
from seqloom.train.sharding import check_can_be_sharded
from seqloom.train.update import Outcome, Update
from seqloom.train.weights import live_tensors, load_model, model_tensors

BAD_STEPS = 10  # so many updates in a row that are not finite end the training
TIDY = 50  # steps, after which what lies free between tensors of ever other sizes goes back to the system
Listener = Callable[["Trainer", Mapping[str, Any]], None]  # a hook, or any function


class Interrupted(SeqloomError):
    """A signal ended training; everything up to the last step is in a checkpoint."""

    def __init__(self, message: str, signal_number: int):
        super().__init__(message)
        self.exit_code = 128 + signal_number


class Trainer:
    """Trains a model for a task.  It knows nothing of either but what their base classes say.

    All that is random in step k comes from a generator seeded with (seed, k), and the data order is a function of the
    position: so a resumed training continues to the bit, on the same machine with the same number of threads.
    """

    def __init__(
        self,
        model: nn.Module,
        task: Task,
        options: TrainOptions,
        *,
        checkpoints: Checkpoints,
        seed: int,
        device: torch.device,
        hooks: Iterable[Listener] = (),
        ranks: Ranks = ALONE,
    ):
        """Several `ranks` train together: each has the same model and task, and those but the main one no hooks."""
        if options.keep_best not in task.measures:
            what = f"validation has no {options.keep_best!r}{suggest(options.keep_best, task.measures)}"
            raise UsageError(f"train.keep_best: {what}")
        if options.shard:
            check_can_be_sharded(model, options, ranks)
        self.model, self.task, self.options = model.to(device), task, options
        self.checkpoints, self.seed, self.device, self.hooks = checkpoints, seed, device, tuple(hooks)
        self.ranks = ranks
        self.updated = Update(self.model, task.loss, options, device, ranks)
        self.schedule = options.schedule()
        self.progress = Progress()
        self._bad_steps, self._validating = 0, False
        self._signal: int | None = None  # that this rank has heard
        self._stop: int | None = None  # that all ranks know of
        self._logged = self._clock = time.monotonic()
        self._saved = 0.0  # how many of the progress's seconds had gone by at the last checkpoint

    def fit(self) -> Progress:
        """Train to the end, from wherever `progress` stands.  Raises Interrupted on SIGINT and SIGTERM."""
        with self._listening():
            self.ranks.take_from_main(live_tensors(self.model).values())  # a hook may have changed them
            if self.options.shard and self.ranks.size > 1:
                self.updated.shard()
            made = self.task.batches(self.progress.position)
            self._logged = self._clock = time.monotonic()
            self._saved = self.progress.seconds
            with ahead(made, self.device, count=self.options.accumulate) as batches:
                self._train(batches)
        return self.progress

    def _train(self, batches: Iterator[tuple[Batch, Position]]) -> None:
        while True:
            if self._validation_is_due():
                self._validate()
            if self._finished():
                return
            self.report({"event": "stepping", "step": self.progress.step + 1})
            self._step(batches)
            if self.device.type == "cpu" and self.progress.step % TIDY == 0:
                return_freed_memory()
            self.report({"event": "stepped", "step": self.progress.step})
            self._agree()
            if self._stop is not None:
                self._save()
                raise self._interrupted()
            if self._checkpoint_is_due() and not self._validation_is_due():
                self._save()

    def update(self, batches: Sequence[Batch]) -> Outcome:
        """One step on all of `batches` together; a gradient above what `skip_norm` allows leaves the weights."""
        step = self.progress.step
        seeds = [_seed(self.seed, step, number) for number in range(len(batches))]
        return self.updated(batches, seeds=seeds, rate=self._rate(step + 1), most=self._most())

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go on from where a checkpoint was made."""
        load_model(self.model, checkpoint.model)
        self.progress = Progress.from_dict(checkpoint.state["progress"])
        self.updated.restore(checkpoint.training)

    def report(self, metrics: Mapping[str, Any]) -> None:
        """Tell every hook."""
        for hook in self.hooks:
            hook(self, metrics)

    def _step(self, batches: Iterator[tuple[Batch, Position]]) -> None:
        progress, most = self.progress, self._most()
        drawn = [next(batches) for _ in range(self.options.accumulate)]
        outcome = self.update([batch for batch, _ in drawn])
        progress.step, progress.position = progress.step + 1, drawn[-1][1]
        self._count(outcome, left_out=not outcome.norm <= most)
        if progress.step % self.options.log_every == 0 or progress.step == self.options.steps:
            self._log(outcome.norm)

    def _count(self, outcome: Outcome, *, left_out: bool) -> None:
        progress, finite = self.progress, math.isfinite(outcome.norm)
        if left_out:
            progress.skipped += 1
            self.report({"event": "skipped", "step": progress.step, "gradient_norm": outcome.norm})
        self._bad_steps = 0 if finite else self._bad_steps + 1
        if self._bad_steps >= BAD_STEPS:
            raise SeqloomError(
                f"step {progress.step}: the gradient was not finite {BAD_STEPS} times in a row "
                f"(loss {outcome.loss:.4g}); "
                "a lower learning rate, a longer warm-up or precision: float32 may help"
            )
        if finite:
            progress.loss, progress.tokens = (
                progress.loss + outcome.loss * outcome.tokens,
                progress.tokens + outcome.tokens,
            )
            if self.options.skip_norm:
                progress.norms = progress.norms.after(outcome.norm, self.options.skip_norm)

    def _most(self) -> float:
        """The largest norm of a gradient that moves the weights."""
        limit = self.options.skip_norm
        return min(sys.float_info.max, self.progress.norms.most(limit) if limit else math.inf)

    def _rate(self, step: int) -> float:
        return self.schedule.rate(step, self.options.steps) * self.schedule.after_stalls(self.progress.stalls)

    def _log(self, norm: float) -> None:
        progress, now = self.progress, time.monotonic()
        loss = progress.loss / progress.tokens if progress.tokens else math.nan
        self.report(
            {
                "step": progress.step,
                "epoch": round(self.task.epoch(progress.position), 3),
                "loss": loss,
                "learning_rate": self._rate(progress.step),
                "gradient_norm": norm,
                "tokens_per_second": round(progress.tokens / max(now - self._logged, 1e-9), 1),
                "seconds": round(progress.seconds, 2),
            }
        )
        progress.loss, progress.tokens, self._logged = 0.0, 0, now

    def _checkpoint_is_due(self) -> bool:
        most = self.options.checkpoint_seconds
        overdue = most is not None and self.progress.seconds - self._saved >= most
        return overdue or self.progress.step % self.options.checkpoint_every == 0

    def _validation_is_due(self) -> bool:
        progress = self.progress
        at_end = progress.step >= self.options.steps or self._out_of_time()
        return progress.validated < progress.step and (progress.step % self.options.validate_every == 0 or at_end)

    def _out_of_time(self) -> bool:
        return self.options.minutes is not None and self.progress.seconds >= 60 * self.options.minutes

    def _finished(self) -> bool:
        patience = self.options.patience
        impatient = patience is not None and self.progress.waited >= patience
        impatient = impatient or self.schedule.is_over(self.progress.stalls)
        return self.progress.step >= self.options.steps or self._out_of_time() or impatient

    def _validate(self) -> None:
        started = time.monotonic()
        self.report({"event": "validating", "step": self.progress.step})
        evaluation = self._evaluate_or_stop()
        self._judge(evaluation)
        self._agree()
        self._logged += time.monotonic() - started
        values = {f"valid.{name}": value for name, value in evaluation.values.items()}
        self.report(
            {"step": self.progress.step, **values, "signatures": dict(evaluation.signatures)}
            | {"best": self.progress.best_step == self.progress.step, "examples": evaluation.examples}
        )
        self._save()  # last: whoever is killed before it validates again, so that no report is ever missing

    def _evaluate_or_stop(self) -> Evaluation:
        """A validation may take long, and loses nothing when it is cut short: it is made again after a resume."""
        try:
            with self.updated.averaged(), self.updated.whole():  # not to be interrupted on its way in or out
                return self._evaluate_unless_stopped()
        except (Interrupted, RankError):
            self._agree()  # the signal may have been another rank's
            if self._stop is None:
                raise
            self._save()
            raise self._interrupted() from None

    def _evaluate_unless_stopped(self) -> Evaluation:
        try:
            self._validating = True
            self._agree()
            if self._stop is not None:
                raise self._interrupted()
            return self.evaluate()
        finally:
            self._validating = False

    def _agree(self) -> None:
        """Count the time; on every rank it is the main one's, and a signal that one has heard stops all."""
        now = time.monotonic()
        seconds, self._clock = self.progress.seconds + now - self._clock, now
        heard, self.progress.seconds = self.ranks.most([self._signal or 0, seconds if self.ranks.main else 0.0])
        self._stop = int(heard) or None

    def _interrupted(self) -> Interrupted:
        signal_number = self._stop or self._signal
        assert signal_number is not None
        return Interrupted(f"stopped after step {self.progress.step}", signal_number)

    def evaluate(self) -> Evaluation:
        """How good the model is now."""
        self.model.eval()
        return self.task.evaluate(self.model)

    def _judge(self, evaluation: Evaluation) -> None:
        progress, name = self.progress, self.options.keep_best
        value = evaluation.values[name]
        falls = name in self.task.less_is_better
        best = progress.best if progress.best is not None else math.inf if falls else -math.inf
        better = value < best if falls else value > best  # what is no number is neither
        progress.validated, progress.waited = progress.step, 0 if better else progress.waited + 1
        progress.stalls += not better
        if better:
            progress.best, progress.best_step = value, progress.step

    def _save(self) -> None:
        progress = {"progress": self.progress.as_dict()}
        with self.updated.averaged(), self.updated.whole():
            checkpoint = Checkpoint(self.progress.step, model_tensors(self.model), self.updated.tensors(), progress)
            if self.ranks.main:
                self.checkpoints.save(checkpoint, keep_last=self.options.keep_last, keep=self.progress.best_step)
        self.ranks.wait()
        self._saved = self.progress.seconds
        self.report({"event": "saved", "step": self.progress.step})

    @contextmanager
    def _listening(self) -> Iterator[None]:
        """Let the first SIGINT or SIGTERM end training after the step under way, and a second one at once."""

        def stop(number: int, frame: FrameType | None) -> None:
            if self._signal is not None:
                signal.signal(number, signal.SIG_DFL)
                signal.raise_signal(number)
            self._signal = number
            self.report({"event": "stopping", "step": self.progress.step})
            if self._validating and self.ranks.interruptible:
                raise self._interrupted()

        if threading.current_thread() is not threading.main_thread():  # nowhere else can signals be listened to
            yield
            return
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, stop) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _seed(seed: int, step: int, number: int) -> int:
    """The seed of all that is random in a batch of an update, wherever it is computed."""
    return (seed * 1_000_003 + step + number * 2**40) % 2**64
