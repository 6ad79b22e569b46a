"""Which weights a model has."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from seqloom.hooks.base import Hook, write_text
from seqloom.registry import register
from seqloom.train import Trainer


@register("model_report")
class ModelReport(Hook):
    """Writes RUN/model.txt: every weight with its shape and size under the module that has it, and all their sums."""

    def __init__(self, directory: Path):
        self.path = directory / "model.txt"

    def __call__(self, trainer: Trainer, metrics: Mapping[str, Any]) -> None:
        if metrics.get("event") == "started":
            write_text(self.path, describe(trainer.model))


def describe(model: nn.Module) -> str:
    """The tree of a model's modules and weights as text; a weight that is shared counts where it stands first."""
    total, lines = _described(model, "", {}, 0)
    return "\n".join([f"{total:,} parameters", "", *lines, ""])


def _described(module: nn.Module, name: str, known: dict[int, str], depth: int) -> tuple[int, list[str]]:
    """How many parameters a module adds to the `known` ones, and its lines."""
    total, lines = 0, []
    for key, weight in module.named_parameters(recurse=False, remove_duplicate=False):
        full, first = f"{name}.{key}".lstrip("."), known.get(id(weight))
        known.setdefault(id(weight), full)
        count = weight.numel() if first is None else 0
        shape = " x ".join(map(str, weight.shape)) or "a number"
        lines.append(_line(count, depth + 1, f"{key}: {shape}{f', shared with {first}' if first else ''}"))
        total += count
    for key, child in module.named_children():
        count, below = _described(child, f"{name}.{key}".lstrip("."), known, depth + 1)
        total, lines = total + count, lines + below
    heading = f"{name.rpartition('.')[2]} ({type(module).__name__})" if name else type(module).__name__
    has_weights = next(module.parameters(), None) is not None
    return total, [_line(total, depth, heading), *lines] if has_weights else []


def _line(count: int, depth: int, what: str) -> str:
    return f"{count:>15,}  {'  ' * depth}{what}"
