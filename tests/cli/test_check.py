"""`seqloom check`: all that can be said without training."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from seqloom.config.root import read_config

SHORT = "{class: TransformerEncoder, layers: 1, heads: 2, positions: {class: LearnedPositions, max_positions: 4}}"


def test_what_it_prints_is_the_same_configuration(seqloom: Any, toy: Path) -> None:
    result = seqloom("check", toy / "toy.yml", "train.steps=1234", "model.decoder.dropout=0.25")
    assert result.code == 0, result.err
    (seqloom.folder / "whole.yml").write_text(result.out)
    whole = read_config(seqloom.folder / "whole.yml")
    assert whole == read_config(toy / "toy.yml", ["train.steps=1234", "model.decoder.dropout=0.25"])
    assert "label_smoothing: 0.0" in result.out, "every default is there"
    assert [path.name for path in seqloom.folder.iterdir()] == ["whole.yml"]


def test_it_says_what_training_would_cost(seqloom: Any, toy: Path) -> None:
    result = seqloom("check", toy / "toy.yml")
    said = result.err.splitlines()
    assert [re.sub(r"[0-9][0-9,.]*", "N", line) for line in said[:-1]] == [
        "seqloom: data: N pairs to train on, N to validate on; source and target have N and N tokens, "
        "N % of them at most N and N",
        "seqloom: vocabulary: N source and N target symbols",
        "seqloom: model: N parameters",
        "seqloom: one step: N s for N target tokens (N a second)",
        "seqloom: memory: N MiB at the peak of N GiB",
        "seqloom: disk: N checkpoints of N MiB at most; N GiB are free",
        "seqloom: all N steps: about N seconds, N % of it validation; N epochs",
    ]
    assert (result.code, said[-1]) == (0, f"seqloom: {toy / 'toy.yml'} is fine")
    assert said[1].split()[2] == "13", "ten letters and three special symbols"


def test_a_warning_is_counted(seqloom: Any, toy: Path) -> None:
    result = seqloom("check", toy / "toy.yml", "train.clip=0", "train.batch_tokens=8")
    said = result.err.splitlines()
    assert [line[:30] for line in said if "warning: " in line] == [
        "seqloom: warning: train.clip: ",
        "seqloom: warning: train.batch_",
    ]
    assert (result.code, said[-1]) == (0, f"seqloom: {toy / 'toy.yml'} is fit to train with; 2 warnings above")


def test_what_can_not_work_is_an_error_and_no_step_is_tried(seqloom: Any, toy: Path) -> None:
    said = seqloom("check", toy / "toy.yml", f"model.encoder={SHORT}", "train.schedule.peak=1e-3")
    assert said.code == 1
    assert said.err.splitlines()[2:] == [
        "seqloom: model: the sources of training have up to 9 tokens and the model has positions for 4; set "
        "max_positions to 9 or more, or data.max_length to 3",
        f"seqloom: {toy / 'toy.yml'} can't be trained with",
    ]


def test_faulty_data_are_found(seqloom: Any, toy: Path) -> None:
    result = seqloom("check", toy / "toy.yml", f"data.train.source={toy / 'gone'}")
    assert (result.code, result.err) == (1, f"seqloom: {toy / 'gone'}: no such file\n")
