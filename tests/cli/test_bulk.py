"""`seqloom translate-files`, `backtranslate` and `distill`: files of any size, each line exactly once."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seqloom.config.root import read_config
from seqloom.runs import load, train

LINES = [" ".join(random.Random(number).choices("abcdefghij", k=2 + number % 7)) for number in range(120)]


def text(folder: Path, name: str = "mono", lines: list[str] = LINES) -> Path:
    path = folder / name
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def lines(path: Path) -> list[str]:
    return path.read_text().split("\n")[:-1]


def test_files_become_what_translate_makes_of_their_lines(seqloom: Any, trained: Path) -> None:
    text(seqloom.folder, "part.2", LINES[:70])
    with gzip.open(seqloom.folder / "part.10.gz", "wt") as file:
        file.writelines(f"{line}\n" for line in [*LINES[70:], ""])
    sampling = ("--sample", "--temperature", "2", "--seed", "7")
    wanted = seqloom("translate", trained, "--no-guard", *sampling, input="\n".join([*LINES, "\n"]).encode()).out.split(
        "\n"
    )[:-1]
    result = seqloom("translate-files", trained, "part.*", "-o", "out", "--shard-lines", "50", *sampling)
    assert (result.code, result.out, result.err) == (0, "", "seqloom: out/target.txt has 121 lines\n")
    assert lines(seqloom.folder / "out" / "target.txt") == wanted
    assert lines(seqloom.folder / "out" / "source.txt") == [*LINES, ""]


def test_killed_processes_lose_and_double_nothing(seqloom: Any, trained: Path) -> None:
    text(seqloom.folder, lines=LINES * 4)
    arguments = ("translate-files", trained, "mono", "-o", "out", "--shard-lines", "7", "-b", "2")
    results = seqloom.folder / "out" / "shards"
    for wanted in (1, 6, 15):  # shards that are done when both processes are killed
        both = [seqloom.start(*arguments) for _ in range(2)]
        both[0].wait_for(lambda wanted=wanted: len(list(results.glob("*.jsonl"))) >= wanted, "shards")
        time.sleep(random.Random(wanted).uniform(0, 0.05))
        for process in both:
            process.send(signal.SIGKILL)
            assert process.wait().code in (-signal.SIGKILL, 0)
    both = [seqloom.start(*arguments) for _ in range(2)]
    assert [process.wait().code for process in both] == [0, 0]
    (seqloom.folder / "out" / "target.txt").rename(seqloom.folder / "found")
    assert seqloom("translate-files", trained, "mono", "-o", "whole", "--shard-lines", "7", "-b", "2").code == 0
    assert lines(seqloom.folder / "found") == lines(seqloom.folder / "whole" / "target.txt")
    assert len(lines(seqloom.folder / "found")) == len(LINES) * 4


def test_back_translation_prints_what_a_mixture_is_trained_with(seqloom: Any, trained: Path, toy: Path) -> None:
    text(seqloom.folder)
    limits = ("--max-ratio", "1.4", "--max-length", "6", "--tag", "<BT>")
    result = seqloom("backtranslate", trained, "--mono", "mono", "-o", "bt", "--method", "noised-beam", *limits)
    assert result.code == 0, result.err
    report = json.loads((seqloom.folder / "bt" / "report.json").read_text())
    assert report["lines"] == len(LINES) == report["kept"] + sum(report["dropped"].values())
    assert report["kept"] and {"too long", "length ratio"} >= set(report["dropped"]) > set()
    assert report["asked"]["method"] == "noised-beam" and report["noise"]["dropped"] > 0
    sources, targets = (lines(seqloom.folder / "bt" / f"{side}.txt") for side in ("source", "target"))
    assert len(sources) == len(targets) == report["kept"]
    assert set(targets) <= set(LINES)
    valid = f"  valid: {{source: {toy}/valid.target, target: {toy}/valid.source}}\n"
    rest = (toy / "toy.yml").read_text().split("tokenizer:")[1]
    (seqloom.folder / "mixture.yml").write_text(f"{result.out}{valid}tokenizer:{rest}")
    config = read_config(seqloom.folder / "mixture.yml", ["train.steps=2"])
    bitext, synthetic = config.data.train_corpora
    assert (bitext.source, bitext.target) == (toy / "train.target", toy / "train.source")
    assert (bitext.upsample, synthetic.tag) == (1, "<BT>")
    train(config, seqloom.folder / "run")
    assert load(seqloom.folder / "run").tokenizers.source.tags == ("<BT>",)


@pytest.mark.parametrize("method", ["greedy", "beam", "sampling", "topk"])
def test_each_method_of_back_translation(seqloom: Any, trained: Path, method: str) -> None:
    text(seqloom.folder, lines=LINES[:20])
    first = seqloom("backtranslate", trained, "--mono", "mono", "-o", "bt", "--method", method, "--max-ratio", "9")
    again = seqloom("backtranslate", trained, "--mono", "mono", "-o", "bt", "--method", method, "--max-ratio", "9")
    assert first.code == 0, first.err
    assert (first.out, first.err) == (again.out, again.err)
    options = {
        "greedy": ["-b", "1"],
        "beam": ["-b", "5"],
        "sampling": ["--sample"],
        "topk": ["--sample", "--top-k", "10"],
    }
    wanted = seqloom("translate", trained, "--no-guard", "-i", "mono", *options[method]).out.split("\n")[:-1]
    assert lines(seqloom.folder / "bt" / "source.txt") == wanted


def test_a_student_is_taught_and_trained_by_one_command(seqloom: Any, trained: Path, toy: Path) -> None:
    result = seqloom("distill", trained, toy / "toy.yml", "train.steps=4", "-o", "student")
    assert result.code == 0, result.err
    student = seqloom.folder / "student"
    sources = lines(toy / "train.source")
    assert lines(student / "distilled" / "source.txt") == sources
    wanted = seqloom("translate", trained, "--no-guard", "-b", "5", "-i", toy / "train.source").out.split("\n")[:-1]
    assert lines(student / "distilled" / "target.txt") == wanted
    assert read_config(student / "config.yml").data.train_corpora[0].target == student / "distilled" / "target.txt"
    again = seqloom("distill", trained, toy / "toy.yml", "train.steps=6", "-o", "student")
    assert again.code == 0, again.err
    assert json.loads((student / "metrics.jsonl").read_text().splitlines()[-1])


def test_a_corpus_for_students_is_made_of_the_teachers_sources_or_of_others(seqloom: Any, trained: Path) -> None:
    result = seqloom("distill", trained, "-o", "kd")
    assert result.code == 0, result.err
    place = seqloom.folder / "kd"
    assert result.out == (
        "# To train a student, in its YAML file:\ndata:\n  train:\n"
        f'  - {{source: "{place}/source.txt", target: "{place}/target.txt"}}\n'
    )
    text(seqloom.folder, lines=LINES[:9])
    text(seqloom.folder, "references", [" ".join(reversed(line.split())) for line in LINES[:9]])
    others = ("--sources", "mono", "--references", "references", "--method", "interpolation")
    assert seqloom("distill", trained, "-o", "other", *others).code == 0
    assert lines(seqloom.folder / "other" / "source.txt") == LINES[:9]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["backtranslate", "RUN", "--mono", "mono", "-o", "o", "--method", "bream"],
            "method must be one of greedy, beam, sampling, topk, noised-beam, got 'bream'",
        ),
        (
            ["backtranslate", "RUN", "--mono", "mono", "-o", "o", "--method", "noised-beam", "--noise", "dorp=.1"],
            "--noise is a list such as drop=.1,blank=.1,shuffle=3, got 'dorp=.1'",
        ),
        (
            ["backtranslate", "RUN", "--mono", "mono", "-o", "o", "--tag", "a b"],
            "a tag is one word without blanks, such as <2de>, got 'a b'",
        ),
        (["translate-files", "RUN", "mono", "-o", "o", "--shard-lines", "0"], "a shard has at least 1 line, got 0"),
        (
            ["translate-files", "RUN", "mono", "-o", "o", "--workers", "2"],
            "--workers is a number above 0, and for --ray alone, got 2",
        ),
        (["distill", "RUN"], "say with --output where to write"),
        (["distill", "RUN", "-o", "o", "--references", "mono"], "--references goes with --sources"),
        (
            ["distill", "RUN", "-o", "o", "--sources", "mono", "--method", "interpolation"],
            "--method interpolation compares with references: name them with --references",
        ),
    ],
)
def test_what_can_not_be_meant_is_said(seqloom: Any, trained: Path, arguments: list[str], sentence: str) -> None:
    text(seqloom.folder, lines=LINES[:2])
    said = seqloom.refused(*(trained if word == "RUN" else word for word in arguments), code=2)
    assert said == f"seqloom: {sentence}\n"
    assert not (seqloom.folder / "o" / "target.txt").exists()


def test_a_file_that_is_not_there_is_named(seqloom: Any, trained: Path) -> None:
    text(seqloom.folder)
    assert seqloom.refused("backtranslate", trained, "--mono", "mona", "-o", "o", code=1) == (
        "seqloom: mona: no such file; did you mean 'mono'?\n"
    )
    assert seqloom.refused("translate-files", trained, "no.*", "-o", "o", code=1) == (
        "seqloom: no.*: no file matches this pattern\n"
    )


@pytest.mark.long
def test_a_killed_worker_of_a_ray_cluster_loses_and_doubles_nothing(seqloom: Any, trained: Path) -> None:
    pytest.importorskip("ray", reason="Ray is not here: pip install 'seqloom[ray]'")
    text(seqloom.folder, lines=LINES * 50)
    arguments = ["translate-files", str(trained), "mono", "--shard-lines", "100", "-b", "2"]
    on_ray = [sys.executable, "-m", "seqloom", *arguments, "-o", "out", "--ray", "local", "--workers", "2"]
    process = subprocess.Popen(on_ray, cwd=seqloom.folder, stderr=subprocess.PIPE, text=True)
    shards = seqloom.folder / "out" / "shards"
    killed: list[int] = []
    for wanted in (3, 10):  # shards that are done before a worker is killed
        until(process, lambda wanted=wanted: len(list(shards.glob("*.jsonl"))) >= wanted)
        until(process, lambda: bool(at_work(shards) - {*killed}))
        killed.append((at_work(shards) - {*killed}).pop())
        os.kill(killed[-1], signal.SIGKILL)
    said = process.communicate()[1]
    assert (process.returncode, process.pid in killed) == (0, False), said
    assert seqloom(*arguments, "-o", "whole").code == 0
    assert lines(seqloom.folder / "out" / "target.txt") == lines(seqloom.folder / "whole" / "target.txt")
    assert len(lines(seqloom.folder / "out" / "target.txt")) == len(LINES) * 50


def until(process: subprocess.Popen[str], happened: Callable[[], bool]) -> None:
    """Wait; a cluster takes its time to start."""
    end = time.monotonic() + 200
    while not happened():
        if process.poll() is not None or time.monotonic() > end:
            process.kill()
            raise AssertionError(f"waited in vain: {process.communicate()[1]}")
        time.sleep(0.01)


def at_work(shards: Path) -> set[int]:
    """The processes that are at a shard, as its lock says."""
    found = set()
    for lock in shards.glob("*.lock"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            found.add(int(lock.read_text().split()[1]))
    return found


@pytest.mark.long
def test_ranks_of_torchrun_share_the_work(seqloom: Any, trained: Path) -> None:
    text(seqloom.folder)
    arguments = ["translate-files", str(trained), "mono", "--shard-lines", "10"]
    ranks = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "seqloom"]
    result = subprocess.run([*ranks, *arguments, "-o", "out"], cwd=seqloom.folder, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stderr.count("seqloom: out/target.txt has 120 lines") == 1
    assert seqloom(*arguments, "-o", "whole").code == 0
    assert lines(seqloom.folder / "out" / "target.txt") == lines(seqloom.folder / "whole" / "target.txt")
