"""Run directories: a training that can be stopped and gone on with, and a trained model that can be used.

RUN/config.yml       the configuration, every default filled in
RUN/tokenizers/      text <-> ids
RUN/checkpoints/     weights and the state of training
RUN/metrics.jsonl    what was measured on the way
RUN/scores.jsonl     what was measured on test sets
RUN/shortlist.safetensors  which symbols are worth looking at, if that was learnt (shortlists.py)
RUN/facts.json       the data, the model's size, and where and when it was trained
RUN/golden.json      what the finished model made of some texts, and makes of them whenever it is loaded (proof.py)
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import Any

import torch

from seqloom.bundles import check_has_manifest, is_bundle
from seqloom.checkpoint import Checkpoint, Checkpoints, is_locked, locked
from seqloom.config import describe, dump
from seqloom.config.root import Config, read_config
from seqloom.data.corpora import DataOptions, read_pairs
from seqloom.data.rows import Pair
from seqloom.doctor import consult
from seqloom.engines.native import NativeEngine
from seqloom.engines.packed import Precision, laid_out
from seqloom.errors import CheckpointError, SeqloomError, UsageError
from seqloom.fitting import fitted, with_batch_tokens
from seqloom.hardware import find_device, keep_freed_memory, suit_training
from seqloom.hooks import Facts, MetricsFile
from seqloom.hooks.facts import versions
from seqloom.models import Ensemble, Model
from seqloom.proof import FILE as GOLDEN
from seqloom.proof import Golden, chosen_texts, golden_of, replay
from seqloom.ranks import Ranks, environment, own_device, together
from seqloom.shortlists import find as find_shortlist
from seqloom.tasks.translation import build_model
from seqloom.tokenizers import Tokenizers, fingerprint
from seqloom.train import Listener, Progress, Trainer, load_model
from seqloom.translate import Translator

log = logging.getLogger(__name__)

# What a resumed training must leave as it was, because weights, ids or the order of the data depend on it.
# Hooks are not among it: what they do to weights they do once, in a new run.
FIXED = ("task", "tokenizer", "model", "seed", "data", "train.optimizer", "train.batch_", "train.accumulate")
GOLDEN_FROM = 500  # validation pairs, of whose sources some are golden texts
LEAST_ELSEWHERE = 0.75  # of golden texts come out the same on another device, or with numbers of less precision
FREE = ("data.cache", "data.workers")  # they change where and how fast data are made ready, not what is made


def train(config: Config, directory: Path, *, hooks: Iterable[Listener] = ()) -> Progress:
    """Train in a run directory, from its newest whole checkpoint where it has one.

    Raises UsageError if the run was begun with another configuration, CheckpointError if it is in use, DataError for
    faulty data, SeqloomError for what the doctor finds can't work, Interrupted if a signal ended the training.  A
    directory that didn't exist is left only once training can begin.
    """
    device = find_device(own_device(config.train.device, environment()))
    suit_training()
    with together(device, timeout=config.train.rank_timeout) as ranks, _held(directory, ranks) as fresh:
        if threads := config.train.threads or ranks.threads():
            torch.set_num_threads(threads)
        try:
            trainer = _ready(_fitted(config, directory, ranks), directory, device, ranks, hooks)
        except BaseException:
            if fresh:
                shutil.rmtree(directory, ignore_errors=True)
            raise
        progress = trainer.fit()
        if ranks.main and config.train.golden:
            texts = [source for source, _ in valid_pairs(config.data, GOLDEN_FROM)]
            prove(directory, chosen_texts(texts, config.train.golden))
        return progress


@contextmanager
def _held(directory: Path, ranks: Ranks) -> Iterator[bool]:
    """Hold a run directory for these ranks, and say whether this one made it."""
    fresh = ranks.main and not directory.exists()
    with ExitStack() as held:
        with ranks.main_first():
            if ranks.main:
                held.enter_context(locked(directory))
        yield fresh


def load(
    directory: str | Path,
    *,
    checkpoint: str | int = "best",
    ensemble: Sequence[str | Path] = (),
    device: str = "auto",
    precision: Precision = "float32",
    verify: bool = True,
) -> Translator:
    """The trained model in a run directory, ready to translate.

    `checkpoint` is "best" (by `train.keep_best`), "last", or a step.  A damaged checkpoint is named in a warning and
    the newest whole one is used.  With an `ensemble` of other run directories their models and this one translate
    together, searching as this run does.  `precision` is that of matrix products.  Raises CheckpointError where there
    is no checkpoint or, unless `verify` is False, a model doesn't make of its golden texts what it made of them when it
    was trained; and UsageError if the runs of an ensemble have different tokenizers.
    """
    found = find_device(device)
    read = (Trained.read(Path(run), checkpoint) for run in (directory, *ensemble))
    first, *others = trained = [one.laid_out(found, precision) for one in read]
    for other in others:
        _check_same_symbols(first, other)
    for each in trained if verify else ():
        each.verify(found)
    if not others:
        return first.translator(found)
    together = Ensemble([each.model for each in trained]).eval()
    return Translator(first.engine(together, found), first.tokenizers, first.config.search)


def prove(directory: Path, texts: Sequence[str]) -> Golden | None:
    """Let the best model of a run make something of these texts on the CPU, and keep it as RUN/golden.json.

    None where sources are files of their own, which a run doesn't keep.
    """
    trained = Trained.read(directory, "best")
    if trained.tokenizers.source.of_files:
        return None
    golden = golden_of(trained.translator("cpu"), texts, weights=trained.weights, versions=versions())
    golden.write(directory / GOLDEN)
    return golden


def valid_pairs(options: DataOptions, most: int) -> list[Pair]:
    """The first pairs of the validation data; where these are held out, of the training data."""
    corpora = options.valid_corpora or options.train_corpora
    return list(islice(chain.from_iterable(read_pairs(corpus, errors="skip") for corpus in corpora), most))


@dataclass(frozen=True)
class Trained:
    """What there is in a run directory for those who use it."""

    directory: Path
    config: Config
    tokenizers: Tokenizers
    model: Model
    weights: str  # the SHA-256 of their file
    precision: Precision = "float32"  # of matrix products
    asked: str | int = "best"  # which checkpoint was

    @classmethod
    def read(cls, directory: Path, checkpoint: str | int) -> Trained:
        check_is_run(directory)
        config = read_config(directory / "config.yml")
        tokenizers = Tokenizers.load(directory / "tokenizers")
        checkpoints = Checkpoints(directory / "checkpoints")
        chosen = checkpoints.choose(checkpoint)
        model = build_model(config.model, tokenizers)
        try:
            load_model(model, chosen.model)
        except SeqloomError as error:
            raise CheckpointError(f"{directory} can't be loaded: {error}") from error
        weights = checkpoints.weights(chosen.step) or ""
        return cls(directory, config, tokenizers, model.eval(), weights, asked=checkpoint)

    def laid_out(self, device: torch.device, precision: Precision) -> Trained:
        """The same for products of this precision there: nothing to train, and nothing to write to a file."""
        if device.type == "cpu":
            keep_freed_memory()
            laid_out(self.model, precision)
        return replace(self, precision=precision)

    def translator(self, device: torch.device | str) -> Translator:
        """This model alone, searching as its run does."""
        return Translator(self.engine(self.model, device), self.tokenizers, self.config.search)

    def engine(self, model: Model, device: torch.device | str) -> NativeEngine:
        """What runs this model, or one that knows the same symbols, with the shortlist of this run."""
        shortlist = find_shortlist(self.directory, self.tokenizers)
        cores = torch.get_num_threads()
        return NativeEngine(model, device=device, precision=self.precision, shortlist=shortlist, cores=cores)

    def verify(self, device: torch.device | str) -> None:
        """Replay the golden texts of these weights, where there are any.  Raises CheckpointError.

        Those of a finished training are of its best weights.  Where these are others now a warning says so, unless a
        training is under way, which makes others yet.
        """
        golden = Golden.read(self.directory / GOLDEN)
        if golden is not None and golden.weights != self.weights:
            self._tell_exchanged()
        elif golden is not None:
            least = 1.0 if torch.device(device).type == "cpu" and self.precision == "float32" else LEAST_ELSEWHERE
            replay(self.translator(device), golden, name=str(self.directory), least=least)

    def _tell_exchanged(self) -> None:
        best = Checkpoints(self.directory / "checkpoints").weights("best")
        if self.asked == "best" and self.weights == best and not is_locked(self.directory):
            log.warning(
                "%s is of other weights than the best checkpoint has now, so nothing proves that this model is the one "
                "that was trained; where that is meant, seqloom prove %s makes it anew.",
                self.directory / GOLDEN,
                self.directory,
            )


def check_is_run(directory: Path) -> None:
    """Raises CheckpointError unless there is a run in this directory."""
    check_has_manifest(directory)
    if not (directory / "config.yml").exists():
        missing = "there is no such directory" if not directory.exists() else "it has no config.yml"
        raise CheckpointError(f"{directory} is not a run directory: {missing}")
    if is_bundle(directory):
        raise CheckpointError(f"{directory} is an export, and this wants the run that it was made of")


def _check_same_symbols(first: Trained, other: Trained) -> None:
    for side in ("source", "target"):
        mine, theirs = (fingerprint(getattr(run.tokenizers, side)) for run in (first, other))
        if mine != theirs:
            raise UsageError(
                f"{first.directory} and {other.directory} have different {side} tokenizers: models translate together "
                "only if they were trained with the same one, on the same text"
            )


def _fitted(config: Config, directory: Path, ranks: Ranks) -> Config:
    """The configuration with a number for `batch_tokens: auto`, which the main rank finds."""
    if config.train.batch_tokens != "auto":
        return config
    found = fitted(config, directory).train.most_tokens if ranks.main else 0
    return with_batch_tokens(config, int(ranks.most([found])[0]))


def _ready(config: Config, directory: Path, device: torch.device, ranks: Ranks, hooks: Iterable[Listener]) -> Trainer:
    """A trainer that stands where the run stopped."""
    task, checkpoints = config.make_task(), Checkpoints(directory / "checkpoints")
    task.ranks, chosen = ranks, [make(directory=directory) for make in config.hooks] if ranks.main else []
    with ranks.main_first():  # the others find the data prepared
        if ranks.main:
            _check_same(config, directory)
            checkpoints.tidy()
            for hook in chosen if not checkpoints.steps() else ():
                hook.check()
        task.prepare(directory)
    torch.manual_seed(config.seed % 2**64)
    model = task.build(config.model)
    metrics = MetricsFile(directory / "metrics.jsonl")
    heard_by: list[Listener] = [metrics, Facts(directory / "facts.json"), *chosen, *hooks] if ranks.main else []
    newest = _newest(checkpoints, ranks)
    if newest is None:
        task.begin(model)
    trainer = Trainer(
        model, task, config.train, checkpoints=checkpoints, seed=config.seed, device=device, hooks=heard_by, ranks=ranks
    )
    if newest:
        trainer.restore(newest)
    with ranks.main_first():
        if ranks.main:
            if config.train.doctor:
                consult(config, trainer, directory)
            _replace(directory / "config.yml", dump(describe(config)))
            metrics.forget_after(trainer.progress.step)
    trainer.report({"event": "started", "step": trainer.progress.step, "resumed": newest is not None})
    return trainer


def _newest(checkpoints: Checkpoints, ranks: Ranks) -> Checkpoint | None:
    """The newest whole checkpoint; UsageError unless all ranks see the same."""
    newest = checkpoints.newest_whole()
    step = newest.step if newest else -1
    if ranks.most([step, -step]) != [step, -step]:
        raise UsageError(f"{ranks} sees other checkpoints in {checkpoints.directory} than others do: share the disk")
    return newest


def _replace(path: Path, text: str) -> None:
    """Write a file in one step: a run whose process is killed here must stay one that can be gone on with."""
    scratch = path.with_suffix(".new")
    scratch.write_text(text, "utf8")
    scratch.replace(path)


def _check_same(config: Config, directory: Path) -> None:
    """Raises UsageError if the run was begun with something else that training depends on, and says with what."""
    if not (directory / "config.yml").exists():
        return
    before, now = (_flat(describe(c)) for c in (read_config(directory / "config.yml"), config))
    changes = [
        f"{key} was {before.get(key)!r} and is {now.get(key)!r}"
        for key in sorted(before.keys() | now.keys())
        if before.get(key) != now.get(key) and key.startswith(FIXED) and not key.startswith(FREE)
    ]
    if changes:
        raise UsageError(
            f"{directory} holds a run with another configuration: {'; '.join(changes)}. "
            "Choose another directory, or go on with the configuration it was begun with"
        )


def _flat(tree: Any, name: str = "") -> dict[str, Any]:
    """A tree as one level: `{"train.steps": 60}`."""
    if not isinstance(tree, Mapping):
        return {name: tree}
    return {k: v for key, value in tree.items() for k, v in _flat(value, f"{name}.{key}".lstrip(".")).items()}
