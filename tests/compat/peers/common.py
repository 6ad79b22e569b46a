"""What the scripts that run beside other toolkits share: sentences, and weights that are a function of their names."""

from __future__ import annotations

import json
import random
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

WORDS = [f"w{number}" for number in range(12)]
COUNT, LENGTH, SHOWN = 100, 7, 2  # sentences; tokens of a target; sentences whose logits are written down


def sentences(seed: int) -> list[list[str]]:
    """Random sentences of these words, and of one that no vocabulary has."""
    draw = random.Random(seed)
    return [[draw.choice([*WORDS, "new"]) for _ in range(draw.randint(1, 9))] for _ in range(COUNT)]


def targets() -> list[list[str]]:
    """Random targets of one length."""
    draw = random.Random(2)
    return [[draw.choice(WORDS) for _ in range(LENGTH)] for _ in range(COUNT)]


def values(name: str, shape: Sequence[int]) -> Any:
    """A weight's values: no weight is like another, and what a model says depends on what it is asked."""
    drawn = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(tuple(shape)).astype(np.float32)
    if "norm" in name and name.endswith("weight"):
        return drawn * np.float32(0.2) + 1
    # Small vectors of symbols, lest a symbol repeat itself, and small biases, lest one is said always.
    return drawn * np.float32(0.12 if "emb" in name else 0.1 if "bias" in name else 0.6)


def fill(network: Any) -> None:
    """Give a network these weights."""
    for name, weight in network.named_parameters():
        weight.data = torch.from_numpy(values(name, weight.shape))


def say(directory: Path, network: Any, symbols: Sequence[str], teacher: Callable[..., Any], **found: Any) -> None:
    """Write what the toolkit says: the logits of its `symbols` in float64, and what was `found` by search before.

    With it goes all that the checkpoint is made of again: the files beside it, and of each weight the name that its
    values are a function of (null for what is no weight) and its shape.
    """
    firsts = {id(weight): name for name, weight in network.named_parameters()}
    state = {name: [firsts.get(id(x)), list(x.shape)] for name, x in network.state_dict(keep_vars=True).items()}
    files = {file.name: file.read_text() for file in directory.iterdir() if file.suffix in (".txt", ".yaml")}
    network.double()
    with torch.inference_mode():
        few, logits = teacher(sentences(1)[:SHOWN], targets()[:SHOWN]), teacher(sentences(1), targets())
    assert few.dtype == torch.float64
    np.save(directory / "logits.npy", logits.numpy())
    told = {"files": files, "state": state, "symbols": list(symbols), "logits": few.numpy().round(7).tolist(), **found}
    (directory / "expected.json").write_text(json.dumps(told, default=repr))
