"""The script that measures decoding on a GPU runs through on the processor, with no more packages than needed."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

REPOSITORY = Path(__file__).resolve().parents[2]
SCRIPT = REPOSITORY / "benchmarks" / "gpu" / "decode_speed.py"
MISSING = ("ruamel", "ruamel.yaml", "babel", "matplotlib", "PIL")  # there
PACKAGES = {"ctranslate2 float16": "ctranslate2", "transformers bfloat16": "transformers"}
NATIVE = {"native bfloat16", "native float32"}


@pytest.fixture(scope="module")
def script() -> Any:
    spec = importlib.util.spec_from_file_location("gpu_decode_speed", SCRIPT)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where a dataclass looks up its annotations
    spec.loader.exec_module(module)
    return module


def test_every_system_translates_every_shape(tmp_path: Path) -> None:
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
    report = json.loads((tmp_path / "out" / "decode_speed.json").read_text())
    installed = {name for name, package in PACKAGES.items() if importlib.util.find_spec(package)}
    measured = {(row["system"], row["beam"], row["batch"]) for row in report["rows"] if not row["failed"]}
    shapes = [(beam, batch) for beam in (1, 2) for batch in (1, 3)]
    assert measured == {(name, *shape) for name in NATIVE | installed for shape in shapes}
    failed = {row["system"]: row["failed"] for row in report["rows"] if row["failed"]}
    missing = {name: package for name, package in PACKAGES.items() if name not in installed}
    assert failed == {name: f"ModuleNotFoundError: No module named '{package}'" for name, package in missing.items()}
    assert all(min(row["seconds"]) > 0 for row in report["rows"] if not row["failed"])
    assert done.stdout.count("| native float32 |") == len(shapes)


def test_without_a_gpu_it_says_so(script: Any, tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.setattr(script.torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", ["decode_speed.py", str(tmp_path)])
    with pytest.raises(SystemExit) as stopped:
        script.main()
    assert stopped.value.code == 2
    assert "there is no GPU here that PyTorch can use; --rehearse runs tiny models" in capsys.readouterr().err


class Slow:
    """Stands in for a system; its clock is the script's."""

    def __init__(self, script: Any, tokens: int):
        self.size, self.device, self.tokens = script.TINY, torch.device("cpu"), tokens

    def translate(self, sources: Any, beam: int) -> int:
        return self.tokens


def test_targets_of_another_length_are_no_measurement(script: Any) -> None:
    row = script.Row("native float32", 1, 3)
    script.measure(row, Slow(script, script.TINY.tokens), [[3]] * 3)
    assert len(row.seconds) == script.TINY.rounds
    with pytest.raises(RuntimeError) as refused:
        script.measure(row, Slow(script, 2), [[3]] * 3)
    assert str(refused.value) == "targets have 2 tokens instead of 3"


def test_what_there_is_no_time_for_is_named(script: Any, tmp_path: Path) -> None:
    report = script.run(script.TINY, ["native float32"], torch.device("cpu"), tmp_path, minutes=-1)
    assert report["rows"] == [] and report["left_out"] == ["native float32"] * 4


def test_the_table_compares_systems_shape_by_shape(script: Any) -> None:
    from dataclasses import asdict

    rows = [
        script.Row("native bfloat16", 4, 8, [2.0, 4.0, 2.0], first=9.5, gibibytes=1.25),
        script.Row("transformers bfloat16", 4, 8, [8.0, 8.0], first=8.5, gibibytes=2.5),
        script.Row("ctranslate2 float16", 1, 8, failed="ModuleNotFoundError: no"),
    ]
    lines = script.table({"rows": [asdict(row) for row in rows], "size": {"tokens": 30}}).splitlines()
    assert lines[2:] == [
        "| 8 | 1 | ctranslate2 float16 | failed: ModuleNotFoundError: no | | | | |",
        "| 8 | 4 | native bfloat16 | 4.0 | 120 | 9.50 s | 1.25 |  |",
        "| 8 | 4 | transformers bfloat16 | 1.0 | 30 | 8.50 s | 2.5 | 4.00 x |",
    ]
    assert len({line.count("|") for line in lines}) == 1
