"""The report's sums add up, and a shared weight counts once."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from seqloom.hooks import ModelReport
from seqloom.hooks.model_report import describe
from seqloom.train import Trainer


class Tied(nn.Module):
    """An embedding and a projection that share a table."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(1000, 2)
        self.silent = nn.Dropout()
        self.top = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1000))
        self.top[1].weight = self.table.weight
        self.scale = nn.Parameter(nn.init.ones_(nn.Parameter().new_empty(())))


def test_it_reads_like_the_model() -> None:
    assert describe(Tied()) == (
        "3,007 parameters\n"
        "\n"
        "          3,007  Tied\n"
        "              1    scale: a number\n"
        "          2,000    table (Embedding)\n"
        "          2,000      weight: 1000 x 2\n"
        "          1,006    top (Sequential)\n"
        "              6      0 (Linear)\n"
        "              4        weight: 2 x 2\n"
        "              2        bias: 2\n"
        "          1,000      1 (Linear)\n"
        "              0        weight: 1000 x 2, shared with table.weight\n"
        "          1,000        bias: 1000\n"
    )


@pytest.mark.parametrize("tie", ["none", "all"])
def test_its_sums_are_those_of_the_model(
    tie: str, trainer: Callable[..., Trainer], tmp_path: Path, begun: dict[str, Any]
) -> None:
    changes = ["model.decoder={class: TransformerDecoder, layers: 2, heads: 2, feedforward: 8}"]
    standing = trainer(*changes, f"model.embedding.tie={tie}")
    ModelReport(tmp_path)(standing, begun)
    text = (tmp_path / "model.txt").read_text("utf8")
    total = sum(weight.numel() for weight in standing.model.parameters())
    rows = re.findall(r"^ *([\d,]+)  (.*)$", text, re.M)
    leaves = [int(count.replace(",", "")) for count, what in rows if ":" in what]
    assert text.startswith(f"{total:,} parameters\n")
    assert sum(leaves) == total and rows[0] == (f"{total:,}", "EncoderDecoder")
    assert len([count for count in leaves if count]) == len(list(standing.model.parameters()))
    assert text.count("shared with") == (2 if tie == "all" else 0)
