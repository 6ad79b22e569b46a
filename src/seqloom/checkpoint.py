"""Checkpoints: directories that are whole or absent, checked when read, and free of pickle.

    RUN/checkpoints/step-00001000/   model.safetensors  training.safetensors  state.json  manifest.json

A checkpoint is written beside its place, made durable, and renamed into it; `manifest.json` holds the SHA-256 of the
other files.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError

from seqloom.errors import CheckpointError, UsageError

if TYPE_CHECKING:
    from torch import Tensor

log = logging.getLogger(__name__)

FORMAT = 1


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that was read and found whole."""

    step: int
    model: dict[str, Tensor]
    training: dict[str, Tensor]
    state: dict[str, Any]


class Checkpoints:
    """The checkpoints of one run."""

    def __init__(self, directory: Path):
        self.directory = directory

    def save(self, checkpoint: Checkpoint, *, keep_last: int, keep: int | None = None) -> None:
        """Write one, then leave only the `keep_last` newest and that of step `keep`.  CheckpointError if it can't."""
        self.directory.mkdir(parents=True, exist_ok=True)
        place = self._place(checkpoint.step)
        try:
            _write(self.directory / f".new-{place.name}", place, checkpoint)
        except OSError as error:
            reason = f"could not be written: {error.strerror}; the one before it stands"
            raise CheckpointError(f"{place} {reason}") from error
        for step in self.steps()[:-keep_last]:
            if step != keep:
                _remove(self._place(step))

    def steps(self) -> list[int]:
        """The steps that have a checkpoint, whole or damaged, in order."""
        return sorted(int(path.name[5:]) for path in self.directory.glob("step-*") if path.name[5:].isdigit())

    def load(self, step: int) -> Checkpoint:
        """The checkpoint of a step; CheckpointError if it is damaged or not there."""
        if step not in (steps := self.steps()):
            there = f"it has {', '.join(map(str, steps))}" if steps else "it has none yet"
            raise CheckpointError(f"{self.directory} has no checkpoint of step {step}; {there}")
        return _read(self._place(step))

    def newest(self) -> tuple[Checkpoint | None, list[str]]:
        """The newest whole checkpoint (None where there is none), and a sentence for each damaged one before it."""
        damage: list[str] = []
        for step in reversed(self.steps()):
            try:
                return self.load(step), damage
            except CheckpointError as error:
                damage.append(str(error))
        return None, damage

    def newest_whole(self) -> Checkpoint | None:
        """The same with the damage named in warnings; CheckpointError if all there is is damaged."""
        newest, damage = self.newest()
        for sentence in damage:
            log.warning("%s", sentence)
        if damage and newest is None:
            raise CheckpointError(f"{damage[0]}; {self.directory} has no whole checkpoint")
        if damage and newest:
            log.warning("Using the checkpoint of step %d instead.", newest.step)
        return newest

    def choose(self, which: str | int) -> Checkpoint:
        """The "best" checkpoint, the "last", or that of a step; where the best is damaged, the newest whole one.

        Raises UsageError for another word, CheckpointError where there is none.
        """
        if isinstance(which, int) or which.isdecimal():
            return self.load(int(which))
        if which not in ("best", "last"):
            raise UsageError(f"a checkpoint is best, last or a step, got {which!r}")
        newest = self.newest_whole()
        if newest is None:
            raise CheckpointError(f"{self.directory} has no checkpoint yet")
        best = newest.state["progress"]["best_step"]
        if which == "last" or best is None or best == newest.step:
            return newest
        try:
            return self.load(best)
        except CheckpointError as error:
            log.warning("%s; using the checkpoint of step %d instead.", error, newest.step)
            return newest

    def weights(self, which: str | int) -> str | None:
        """The SHA-256 of the weights that `choose` takes where nothing is damaged; None if that can't be told."""
        try:
            step = int(which) if which not in ("best", "last") else self.steps()[-1]
            if which == "best":
                best = json.loads((self._place(step) / "state.json").read_bytes())["progress"]["best_step"]
                step = step if best is None else best
            manifest = json.loads((self._place(step) / "manifest.json").read_bytes())
            return str(manifest["sha256"]["model.safetensors"])
        except (OSError, ValueError, LookupError, TypeError):
            return None

    def tidy(self) -> None:
        """Clear away what a killed process left half-done."""
        for path in self.directory.glob(".new-*"):
            shutil.rmtree(path, ignore_errors=True)
        for path in self.directory.glob(".old-*"):
            whole = self.directory / path.name.removeprefix(".old-")
            shutil.rmtree(path, ignore_errors=True) if whole.exists() else path.rename(whole)

    def _place(self, step: int) -> Path:
        return self.directory / f"step-{step:08d}"


def _write(scratch: Path, place: Path, checkpoint: Checkpoint) -> None:
    import safetensors.torch  # PyTorch is for those who read or write weights

    shutil.rmtree(scratch, ignore_errors=True)
    try:
        scratch.mkdir()
        state = {"format": FORMAT, "step": checkpoint.step} | checkpoint.state
        files = {
            "model.safetensors": safetensors.torch.save(checkpoint.model),
            "training.safetensors": safetensors.torch.save(checkpoint.training),
            "state.json": json.dumps(state, indent=1).encode(),
        }
        sums = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
        files["manifest.json"] = json.dumps({"format": FORMAT, "sha256": sums}, indent=1).encode()
        for name, data in files.items():
            _write_durably(scratch / name, data)
        sync_directory(scratch)
        old = place.parent / f".old-{place.name}"
        if place.exists():
            place.rename(old)
        scratch.rename(place)  # the name appears only when all is on disk
        sync_directory(place.parent)
        shutil.rmtree(old, ignore_errors=True)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise


def _write_durably(path: Path, data: bytes) -> None:
    with open(path, "xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def sync_directory(directory: Path) -> None:
    """Make the names in a directory durable."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove(place: Path) -> None:
    doomed = place.parent / f".new-{place.name}"  # half a checkpoint never bears a checkpoint's name
    place.rename(doomed)
    shutil.rmtree(doomed, ignore_errors=True)


def _read(place: Path) -> Checkpoint:
    import safetensors.torch

    try:
        manifest = json.loads((place / "manifest.json").read_bytes())
        if manifest["format"] != FORMAT:
            raise CheckpointError(f"{place} has format {manifest['format']}, this Seqloom reads format {FORMAT}")
        data = {name: _read_checked(place / name, checksum) for name, checksum in manifest["sha256"].items()}
        state = json.loads(data["state.json"])
        model, training = (safetensors.torch.load(data[f"{name}.safetensors"]) for name in ("model", "training"))
        return Checkpoint(state["step"], model, training, state)
    except FileNotFoundError as error:
        raise CheckpointError(f"{place} is damaged: {Path(error.filename).name} is missing") from error
    except OSError as error:
        raise CheckpointError(f"{place} can't be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
        raise CheckpointError(f"{place} is damaged: its manifest can't be read") from error


def _read_checked(path: Path, checksum: str) -> bytes:
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != checksum:
        raise CheckpointError(f"{path.parent} is damaged: {path.name} doesn't have the SHA-256 of its manifest")
    return data


def is_locked(directory: Path) -> bool:
    """Whether a training holds this run directory."""
    import fcntl

    try:
        with open(directory / ".lock") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # nothing was ever trained here
        return False
    return False


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold a run directory for this process alone; CheckpointError if another one holds it.  A crash frees it."""
    import fcntl

    directory.mkdir(parents=True, exist_ok=True)
    with open(directory / ".lock", "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            what = "is in use by another training; wait for it, or choose another"
            raise CheckpointError(f"{directory} {what}") from error
        yield
