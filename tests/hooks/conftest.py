"""A trainer that stands at the beginning of a run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from seqloom.checkpoint import Checkpoints
from seqloom.config.root import read_config
from seqloom.train import Trainer


@pytest.fixture
def trainer(toy: Path, tmp_path: Path) -> Callable[..., Trainer]:
    """What makes one for the toy configuration, with changes."""

    def make(*changes: str) -> Trainer:
        config = read_config(toy / "toy.yml", changes)
        task = config.make_task()
        task.prepare(tmp_path / "new")
        torch.manual_seed(config.seed)
        model, checkpoints = task.build(config.model), Checkpoints(tmp_path / "new" / "checkpoints")
        device = torch.device("cpu")
        return Trainer(model, task, config.train, checkpoints=checkpoints, seed=config.seed, device=device)

    return make


@pytest.fixture
def begun() -> dict[str, object]:
    """The report that a new run starts."""
    return {"event": "started", "step": 0, "resumed": False}


@pytest.fixture
def gone_on() -> dict[str, object]:
    """The report that a run goes on."""
    return {"event": "started", "step": 5, "resumed": True}
