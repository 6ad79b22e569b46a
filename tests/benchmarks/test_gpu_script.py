"""The script for a GPU runs through on the processor, with no more packages than such a machine has."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
SCRIPT = REPOSITORY / "benchmarks" / "gpu" / "train_speed.py"
MISSING = ("ruamel", "ruamel.yaml", "babel", "matplotlib", "PIL")  # there


@pytest.fixture(scope="module")
def script() -> Any:
    spec = importlib.util.spec_from_file_location("gpu_train_speed", SCRIPT)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where a dataclass looks up its annotations
    spec.loader.exec_module(module)
    return module


def test_every_model_is_measured_in_both_precisions(tmp_path: Path) -> None:
    python = tmp_path / "python"
    bare = f"import runpy, sys; sys.modules.update(dict.fromkeys({MISSING!r})); sys.argv.pop(0); "
    python.write_text(
        f'#!/bin/sh\nexec {sys.executable} -c "{bare}runpy.run_path(sys.argv[0], run_name=\'__main__\')" "$@"\n'
    )
    python.chmod(0o755)
    words = ["sh", str(SCRIPT.with_suffix(".sh")), str(tmp_path / "out"), "--rehearse"]
    environment = os.environ | {"PYTHON": str(python), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(words, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "out" / "train_speed.json").read_text())
    measured = {(row["model"], row["precision"]) for row in report["rows"]}
    models = {"transformer base", "transformer big", "attention lstm"}
    assert measured == {(model, precision) for model in models for precision in ("bfloat16", "float32")}
    for row in report["rows"]:
        assert not row["failed"]
        assert min(row["speeds"]) > 0 and row["gflops"] > 0 and row["parameters"] > 0
        assert done.stdout.count(f"| {row['model']} | {row['parameters']:,} | {row['precision']} |") == 1


def test_without_a_gpu_it_says_so(script: Any, tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.setattr(script.torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", ["train_speed.py", str(tmp_path)])
    with pytest.raises(SystemExit) as stopped:
        script.main()
    assert stopped.value.code == 2
    assert "there is no GPU here that PyTorch can use; --rehearse runs tiny models" in capsys.readouterr().err


def test_losses_are_compared_over_the_same_steps(script: Any) -> None:
    plain = script.Row("m", "float32", False, losses=[9.0, 4.0, 4.0])
    other = script.Row("m", "bfloat16", False, losses=[9.0, 4.1, 3.98, 1.0])
    assert script.apart(other, plain, 2) == (pytest.approx(0.01), 3)
    assert script.apart(other, plain, 4) is None


def test_words_of_files_are_numbered_by_how_frequent_they_are(script: Any, tmp_path: Path) -> None:
    (tmp_path / "s").write_text("b a\n\na\n")
    (tmp_path / "t").write_text("a c\nc\na a\n")
    pairs = script.given(tmp_path / "s", tmp_path / "t", 5, 100)  # room for two words beside the special symbols
    assert [[side.tolist() for side in pair] for pair in pairs] == [[[3, 3], [3, 4]], [[3], [3, 3]]]


def test_made_up_symbols_are_all_in_the_vocabulary(script: Any) -> None:
    pairs = script.made_up(50, 5000)
    ids = np.concatenate([side for pair in pairs for side in pair])
    assert ids.min() >= 3 and ids.max() < 50
    counts = np.bincount(ids)
    assert counts[3] > counts[6] > counts[40]
    assert sum(len(target) + 1 for _, target in pairs) >= 5000


def test_batches_keep_to_their_size(script: Any) -> None:
    for batch in script.batches_of(script.made_up(50, 5000), script.TINY):
        assert (
            max(batch.target.ids[:, 1:].numel(), batch.source.ids.numel()) <= script.TINY.tokens
            or len(batch.source.ids) == 1
        )
