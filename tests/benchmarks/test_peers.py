"""What is read of other toolkits, and what becomes of it; none of them is needed here."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

REPOSITORY = Path(__file__).resolve().parents[2]
BENCHMARKS = REPOSITORY / "benchmarks"


@pytest.fixture(scope="module")
def script() -> Any:
    spec = importlib.util.spec_from_file_location("train_peers", BENCHMARKS / "train_peers.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# Lines in the form of each toolkit's log, with numbers of our own.
LOGS = {
    "fairseq": """\
2026-01-02 03:04:05 | INFO | fairseq.trainer | begin training epoch 1
2026-01-02 03:04:09 | INFO | train_inner | {"epoch": 1, "update": 0.01, "loss": "9.5", \
"wps": "1234.5", "ups": "0.7", "wpb": "1800.2"}
""",
    "eole": """\
[2026-01-02 03:04:05,678 INFO] Start training loop without validation...
[2026-01-02 03:04:09,678 INFO] Step  5/10000000; acc: 0.1; ppl: 7000.00; xent: 8.90; aux: 0.000; mtp: 0.000; \
attn_ent: 0.000; lr: 5.00e-07; sents:     640; bsz: 1700/1800/128; 1111/1234 tok/s;      8 sec;
""",
    "joeynmt": """\
2026-01-02 03:04:05,678 - INFO - joeynmt.training - EPOCH 1
2026-01-02 03:04:09,678 - INFO - joeynmt.training - Epoch   1, Step:        5, Batch Loss:     8.912345, \
Batch Acc: 0.000123, Tokens per Sec:     1234, Lr: 0.000001
""",
    "seqloom": """\
training: 7,578,624 parameters on cpu
step 1,005/10,000,000  loss 9.540  1,234 tokens/s  epoch 0.0  22594:53:32 left
""",
}


@pytest.mark.parametrize("toolkit", LOGS)
def test_each_log_says_how_fast_it_was(script: Any, toolkit: str) -> None:
    assert [int(speed) for speed in script.logs.speeds(toolkit, LOGS[toolkit])] == [1234]


def test_our_own_line_is_read_as_it_is_written(script: Any, capsys: Any) -> None:
    from types import SimpleNamespace

    from seqloom.cli.progress import ProgressDisplay

    display = ProgressDisplay(100, "bleu")
    display.first = (0, 0.0)
    trainer: Any = SimpleNamespace(progress=SimpleNamespace(step=5), options=SimpleNamespace(minutes=None))
    display(trainer, {"step": 5, "loss": 9.0, "tokens_per_second": 4321.4, "epoch": 0.1})
    assert script.logs.speeds("seqloom", capsys.readouterr().err) == [4321.0]


def test_a_window_holds_whole_steps_only() -> None:
    from peers.processes import read, window

    text = "1.0 0.5 2 9 9 10 12\n3.0 1.5 2 9 9 20 24\n5.0 2.5 2 9 9 30 36\n9.0 4.5 2 9 9 40 48\n9.5 4"
    seen = read(text)
    assert len(seen) == 4  # the last line is not whole
    found = window(seen, since=2.0)  # the step from 1.0 was under way, the one from 9.0 is not over
    assert found is not None
    assert (found.seconds, found.busy, found.tokens) == (6.0, 3.0, 50)
    assert window(seen, since=9.0) is None


def test_one_runs_while_the_other_stands_still(tmp_path: Path) -> None:
    from peers.processes import Failed, Program

    line = "print(time.monotonic(), 0, 1, 1, 1, 1, 1, file=open(sys.argv[1], 'a'), flush=True)"
    code = f"import sys, time\nwhile True: {line}; time.sleep(.02)"
    one, two = (
        Program(
            name,
            [sys.executable, "-c", code, str(tmp_path / name)],
            seen=tmp_path / name,
            log=tmp_path / f"{name}.log",
            threads=1,
        )
        for name in ("one", "two")
    )
    try:
        assert one.run(0.1).tokens >= 3 and two.run(0.1).tokens >= 3
        before = len(two.batches())
        assert one.run(0.3).tokens >= 3
        assert len(two.batches()) == before
        first = {batch.began for batch in one.batches()}
        assert two.run(0.1).seconds < 5 and len(first) == len(one.batches())
    finally:
        one.end(), two.end()
    broken = Program(
        "broken",
        [sys.executable, "-c", "print('no such thing')"],
        seen=tmp_path / "none",
        log=tmp_path / "log",
        threads=1,
    )
    with pytest.raises(Failed) as failure:
        broken.run(0.1)
    assert str(failure.value) == f"broken does not train; {tmp_path / 'log'} ends with: no such thing"
    broken.end()


def found(speed: float) -> dict[str, Any]:
    counts = {
        "rows": 10.0,
        "source_tokens": 100.0,
        "source_places": 110.0,
        "target_tokens": 120.0,
        "target_places": 150.0,
    }
    return {
        "speeds": [speed, 2 * speed, 3 * speed],
        "a_second_of_the_processor": speed,
        "batches": 9,
        "own_log": [],
    } | counts


def test_the_table_compares_rounds_with_each_other(script: Any) -> None:
    from peers.arithmetic import Work

    work = Work(0, 1e6, (0, 0, 0))  # 6 million operations a target token
    systems = {"seqloom bfloat16": found(1000), "fairseq float32": found(250), "eole float32": {"failed": "no"}}
    lines = script.table(systems, {"bfloat16": 120.0, "float32": 15.0}, work).splitlines()
    assert lines[2] == "| seqloom bfloat16 | 2,000 | 1,000 to 3,000 | 1,000 | 10.0 % | 120 / 150 | 100 / 110 |  |"
    assert lines[3] == "| fairseq float32 | 500 | 250 to 750 | 250 | 20.0 % | 120 / 150 | 100 / 110 | 4.00 x |"
    assert lines[4].startswith("| eole float32 | failed: no |")
    assert len({line.count("|") for line in lines}) == 1


def test_everyone_comes_behind_everyone(script: Any) -> None:
    assert [list(script.rotated("abc", turn)) for turn in range(3)] == [list("abc"), list("bca"), list("cab")]


@pytest.mark.parametrize("model", ["transformer", "lstm"])
def test_the_arithmetic_counts_the_weights_of_the_model(script: Any, model: str) -> None:
    """A source of one token and a target of one: 6 operations a weight of every matrix that is multiplied with."""
    from peers.arithmetic import Work
    from peers.systems import recipe

    from seqloom.config.root import read_config
    from seqloom.models import VocabularySizes

    folder = Path(os.environ["SEQLOOM_CACHE"]) / "peers"
    folder.mkdir(exist_ok=True)
    built = read_config(recipe(model, folder)).model(vocabulary=VocabularySizes(500, 500, joint=True))
    sides = [
        sum(weight.numel() for name, weight in part.named_parameters() if weight.dim() == 2 and "embedding" not in name)
        for part in (built.encoder, built.decoder)
    ]
    work: Work = script.work_of(model, 500)
    # the bridge that makes the first state is not counted, nor is anything but matrices
    bridge = built.decoder.bridge if model == "lstm" else torch.nn.Identity()
    unseen = sum(weight.numel() for weight in bridge.parameters() if weight.dim() == 2)
    table = (
        0
        if any("readout" in name and weight.dim() == 2 for name, weight in built.decoder.named_parameters())
        else 500 * 256
    )
    assert work.source + work.target == sum(sides) - unseen + table


@pytest.mark.parametrize("model", ["transformer", "lstm"])
@pytest.mark.parametrize("toolkit", ["eole", "joeynmt"])
def test_settings_are_those_of_the_same_model(script: Any, toolkit: str, model: str, tmp_path: Path) -> None:
    import json

    command = script.System(toolkit).command(model, script.Corpus(tmp_path), tmp_path, 1)
    settings = json.loads(Path(next(word for word in command if word.endswith(".yaml"))).read_text())
    training = settings["training"]
    assert training["batch_size"] == 2048 and training["label_smoothing"] == 0.1
    assert str(settings["model"]).count("256") >= 2


def test_an_unknown_peer_is_refused(tmp_path: Path) -> None:
    words = ["sh", str(BENCHMARKS / "peers" / "install.sh"), "marian", str(tmp_path / "there")]
    done = subprocess.run(words, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (
        2,
        "there is no peer 'marian'; fairseq, eole, joeynmt, hf and ctranslate2 are known\n",
    )
    assert not (tmp_path / "there").exists()


@pytest.mark.parametrize("name", ["fairseq", "eole", "joeynmt", "hf", "ctranslate2"])
def test_every_package_of_a_peer_is_pinned(name: str) -> None:
    lines = [
        line for line in (BENCHMARKS / "peers" / f"{name}.txt").read_text().splitlines() if not line.startswith("#")
    ]
    assert all(line.count("==") == 1 for line in lines)
    assert f"{'transformers' if name == 'hf' else name}==" in "\n".join(lines)
    assert ("torch==2.13.0" in lines) == (name != "ctranslate2")
