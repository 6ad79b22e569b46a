"""What a model looked at to choose each token of one hypothesis."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Kind = Literal["source", "encoder", "decoder"]


@dataclass(frozen=True)
class AttentionView:
    """The attention of one hypothesis: row t of `weights` is where the model looked to choose target token t.

    Both token lists include the end sign.  Raises ValueError if sizes don't fit or a weight is not from 0 to 1.
    """

    source: list[str]
    target: list[str]
    weights: NDArray[Any]  # [L, H, T, S]
    title: str = ""  # what the hypothesis says
    subtitle: str = ""  # how it came about, such as "beam 4, score -0.31"
    layer_names: list[str] = field(default_factory=list)  # L names; "layer 1", "layer 2" … if there are none

    def __post_init__(self) -> None:
        shape, tokens = np.shape(self.weights), (len(self.target), len(self.source))
        if len(shape) != 4 or shape[2:] != tokens or not all(shape):
            raise ValueError(
                f"weights must be [layers, heads, {tokens[0]} target tokens, {tokens[1]} source tokens] and not empty, "
                f"got {list(shape)}"
            )
        low, high = float(np.min(self.weights)), float(np.max(self.weights))
        if not (low >= -1e-3 and high <= 1 + 1e-3):
            raise ValueError(f"attention weights must be numbers from 0 to 1, got {low} to {high}")
        if self.layer_names and len(self.layer_names) != shape[0]:
            raise ValueError(f"layer_names must have {shape[0]} names, got {len(self.layer_names)}")

    @property
    def names(self) -> list[str]:
        """The layers' names, [L]."""
        return self.layer_names or [f"layer {number}" for number in range(1, len(self.weights) + 1)]

    def matrix(self, *, layer: int | None = None, head: int | None = None) -> NDArray[np.float64]:
        """The weights of one layer and head, counted from 0, or the mean over those left out, [T, S]."""
        chosen = np.clip(np.asarray(self.weights, dtype=np.float64), 0, 1)
        chosen = _choose(chosen, layer, what="layer")
        return _choose(chosen, head, what="head")


def as_json(views: Sequence[AttentionView], *, kind: Kind = "source") -> str:
    """Everything in the pictures as JSON, weights [L, H, T, S] to four digits; only ASCII, so safe wherever it goes."""
    return json.dumps(
        {
            "kind": kind,
            "views": [
                {
                    "title": view.title,
                    "subtitle": view.subtitle,
                    "source": view.source,
                    "target": view.target,
                    "layers": view.names,
                    "weights": np.clip(np.asarray(view.weights, dtype=np.float64), 0, 1).round(4).tolist(),
                }
                for view in views
            ],
        }
    )


def _choose(weights: NDArray[np.float64], index: int | None, *, what: str) -> NDArray[np.float64]:
    if index is None:
        mean: NDArray[np.float64] = weights.mean(0)
        return mean
    if not 0 <= index < len(weights):
        raise ValueError(f"{what} must be from 0 to {len(weights) - 1}, got {index}")
    chosen: NDArray[np.float64] = weights[index]
    return chosen
