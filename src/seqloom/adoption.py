"""Run directories of models that were trained elsewhere."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from seqloom.checkpoint import Checkpoint, Checkpoints
from seqloom.config import describe, dump
from seqloom.config.root import read_config
from seqloom.errors import UsageError
from seqloom.runs import load
from seqloom.tokenizers import Tokenizers
from seqloom.train import Progress

DATA = {"train": {"source": "train.source", "target": "train.target"}}
NO_DATA = "what it was trained with is not known; to go on training, name data of yours"


def adopt(
    directory: Path,
    *,
    model: Mapping[str, Any],
    search: Mapping[str, Any],
    weights: Mapping[str, Tensor],
    tokenizers: Tokenizers,
) -> None:
    """Make a run directory of a model's configuration, weights and tokenizers, which the whole of Seqloom can use.

    It is there only once the model has been built and has taken the weights.  Raises UsageError if `directory` exists,
    SeqloomError if the weights are those of another model.
    """
    if directory.exists():
        raise UsageError(f"{directory} is there already; name a directory that isn't")
    aside = directory.with_name(f".new-{directory.name}")
    shutil.rmtree(aside, ignore_errors=True)
    try:
        aside.mkdir(parents=True)
        tokenizers.save(aside / "tokenizers")
        _write_configuration(aside / "config.yml", model, search, tokenizers)
        state = {"progress": Progress().as_dict()}
        Checkpoints(aside / "checkpoints").save(Checkpoint(0, dict(weights), {}, state), keep_last=1)
        load(aside)
        aside.rename(directory)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _write_configuration(
    path: Path, model: Mapping[str, Any], search: Mapping[str, Any], tokenizers: Tokenizers
) -> None:
    """The configuration with every default filled in."""
    sides = {"source": tokenizers.source, "target": tokenizers.target}
    cut = {
        side: {"class": one["class"], **one["parameters"]}
        for side, one in ((s, t.described()) for s, t in sides.items())
    }
    tokenizer = cut["source"] if tokenizers.source is tokenizers.target else cut
    said = {"data": DATA, "tokenizer": tokenizer, "model": dict(model), "search": dict(search)}
    path.write_text(dump(said), "utf-8")
    whole = describe(read_config(path)) | {"data": DATA}
    path.write_text(dump(whole, comments={("data", "train"): NO_DATA}), "utf-8")
