"""Workers: processes of any kind and on any machine, which share nothing but a job's directory."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from seqloom.bulk.inputs import Inputs
from seqloom.bulk.job import SHARD_LINES, Job, Translate
from seqloom.bulk.results import Found
from seqloom.errors import SeqloomError, UsageError
from seqloom.loading import load
from seqloom.search import SearchOptions
from seqloom.tokenizers import fingerprint
from seqloom.translate import Translator


@dataclass(frozen=True)
class Model:
    """Which trained model translates, on what and by what; a worker on another machine loads it by this."""

    run: Path
    checkpoint: str = "best"
    device: str = "auto"
    engine: str = "auto"
    precision: str | None = None
    verify: bool = True

    def load(self) -> Translator:
        """The model itself.  Raises what `loading.load` does."""
        how = {name: value for name, value in vars(self).items() if name != "run"}
        return load(self.run, **how | {"device": own_device(self.device)})


def rank() -> int:
    """The number of this process among those that torchrun started; 0 where it didn't."""
    return int(os.environ.get("RANK", "0"))


def own_device(device: str) -> str:
    """Each of the processes that torchrun started on a machine has a GPU of its own, where there are GPUs."""
    if device != "auto" or "LOCAL_RANK" not in os.environ:
        return device
    import torch

    if torch.cuda.is_available():
        return f"cuda:{int(os.environ['LOCAL_RANK']) % torch.cuda.device_count()}"
    return device


def fingerprint_of(translator: Translator) -> str:
    """A SHA-256 of the model and of both tokenizers."""
    digest = hashlib.sha256(translator.engine.fingerprint().encode())
    for tokenizer in (translator.tokenizers.source, translator.tokenizers.target):
        digest.update(fingerprint(tokenizer).encode())
    return digest.hexdigest()


def translating(translator: Translator, job: Job) -> Translate:
    """How a model does the lines of that job."""

    def translate(texts: Sequence[str], first: int) -> Iterator[Found]:
        return map(Found.of, translator.stream(texts, job.options, tag=job.tag, first=first))

    return translate


def begin(
    translator: Translator,
    directory: Path,
    inputs: Inputs,
    options: SearchOptions,
    *,
    tag: str | None = None,
    shard_lines: int = SHARD_LINES,
) -> Job:
    """A job for that model, begun or joined.  Raises UsageError as `Job.join` does, and for an unknown tag."""
    translator.check_tag(tag)
    job = Job(directory, inputs, options, fingerprint_of(translator), tag, shard_lines)
    job.join()
    return job


def take_part(model: Model, job: Job) -> None:
    """What a worker elsewhere does: load the model and work until all is done.  UsageError if it isn't the job's."""
    translator = model.load()
    if fingerprint_of(translator) != job.fingerprint:
        raise UsageError(f"{model.run} here is not the model that {job.directory} was begun with")
    job.work(translating(translator, job))


def on_ray(model: Model, job: Job, *, address: str, workers: int | None) -> None:
    """Let workers on a Ray cluster do a job; one that dies is started again, and others take its shard meanwhile.

    `address` is the cluster's, or "local" for one on this machine, which ends with the work.  The directory of the job,
    the run and the inputs must be seen by all machines under the same paths.  UsageError without Ray, SeqloomError
    where no cluster answers, and whatever a worker raises.
    """
    ray = _ray()
    started = not ray.is_initialized()
    if started:
        _connect(ray, address, workers)
    try:
        gpus = 1 if ray.cluster_resources().get("GPU") and model.device == "auto" else 0
        count = workers or int(ray.cluster_resources().get("GPU" if gpus else "CPU", 1))
        part = ray.remote(num_cpus=1, num_gpus=gpus, max_retries=-1)(take_part)
        paths = tuple(path.absolute() for path in job.inputs.paths)
        job = replace(job, directory=job.directory.absolute(), inputs=replace(job.inputs, paths=paths))
        model = replace(model, run=model.run.absolute())
        ray.get([part.remote(model, job) for _ in range(count)])
    except ray.exceptions.RayTaskError as error:
        raise error.cause if isinstance(error.cause, SeqloomError) else error from None
    finally:
        if started:
            ray.shutdown()


def _ray() -> Any:
    try:
        import ray
    except ImportError:
        raise UsageError("--ray needs a package: pip install 'seqloom[ray]'") from None
    return ray


def _connect(ray: Any, address: str, workers: int | None) -> None:
    cpus = {"num_cpus": workers} if address == "local" and workers else {}
    try:
        ray.init(address=address, log_to_driver=False, logging_level="error", include_dashboard=False, **cpus)
    except Exception as error:  # Ray has no class for a cluster that isn't there or doesn't start in time
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise SeqloomError(f"no Ray cluster answers at {address!r}: {reason}") from None
