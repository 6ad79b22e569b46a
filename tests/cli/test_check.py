"""`seqloom check`: all that can be said without training."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from seqloom.config.root import read_config


def test_what_it_prints_is_the_same_configuration(seqloom: Any, toy: Path) -> None:
    result = seqloom("check", toy / "toy.yml", "train.steps=1234", "model.decoder.dropout=0.25")
    assert result.code == 0, result.err
    (seqloom.folder / "whole.yml").write_text(result.out)
    whole = read_config(seqloom.folder / "whole.yml")
    assert whole == read_config(toy / "toy.yml", ["train.steps=1234", "model.decoder.dropout=0.25"])
    assert "label_smoothing: 0.0" in result.out, "every default is there"
    assert [path.name for path in seqloom.folder.iterdir()] == ["whole.yml"]


def test_it_says_what_training_would_cost(seqloom: Any, toy: Path) -> None:
    said = seqloom("check", toy / "toy.yml").err.splitlines()
    assert [re.sub(r"[0-9][0-9,.]*", "N", line) for line in said[:-1]] == [
        "seqloom: vocabulary: N source and N target symbols",
        "seqloom: model: N parameters",
        "seqloom: one step: N s for N target tokens (N a second)",
        "seqloom: memory: N MiB at the peak",
        "seqloom: all N steps: about N hours",
    ]
    assert said[-1] == f"seqloom: {toy / 'toy.yml'} is fine"
    assert said[0].split()[2] == "13", "ten letters and three special symbols"


def test_faulty_data_are_found(seqloom: Any, toy: Path) -> None:
    result = seqloom("check", toy / "toy.yml", f"data.train.source={toy / 'gone'}")
    assert (result.code, result.err) == (1, f"seqloom: {toy / 'gone'}: no such file\n")
