"""How fast Seqloom trains beside other toolkits, each by its own command, in turns, in one run.

    sh benchmarks/peers/install.sh fairseq PEERS/fairseq        # and eole, and joeynmt
    python benchmarks/train_peers.py PEERS [--models transformer lstm] [--threads 2 1] [--rounds 3] [--seconds 5]

All train the same model on the same pieces of Multi30k English to German with batches of at most 2,048 tokens.  The
programs are started one after another and stopped; in every round each runs for a few seconds while the others wait.
What counts are real target tokens a second.  OUTPUT keeps what was found after every model and number of threads: a
second call measures what is missing (or all with --again).  docs/peers.md says what is counted, and how.
"""

from __future__ import annotations

import argparse
import json
import platform
import signal
import statistics
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))  # whoever imports this file finds the ones beside it

import torch
from peers import arithmetic, logs
from peers.corpus import Corpus
from peers.processes import Failed, Program, Window, rotated
from peers.systems import INNER, LAYERS, PEERS, WIDTH, System, recipe
from train_speed import matrix_peak

OBSERVED = Path(__file__).parent / "peers" / "observed.py"
OURS = (System("seqloom", "bfloat16"), System("seqloom"))
THEIRS = tuple(System(peer) for peer in PEERS)
Found = dict[str, Any]


def measure(systems: Sequence[System], model: str, threads: int, chosen: argparse.Namespace) -> dict[str, Found]:
    """Each system's windows, by its name; of one that fails, why."""
    corpus, found, programs = Corpus(chosen.work), {}, {}
    try:
        for system in systems:
            try:
                programs[system] = start(system, model, threads, corpus, chosen.peers / system.toolkit)
                programs[system].run(chosen.warm_up)
            except Failed as failure:
                programs[system].end()
                found[system.name] = {"failed": str(failure)}
        windows: dict[System, list[Window]] = {system: [] for system in systems if system.name not in found}
        for turn in range(chosen.rounds):
            for system in rotated(list(windows), turn):
                windows[system].append(programs[system].run(chosen.seconds))
        for system, result in windows.items():
            own = logs.speeds(system.toolkit, programs[system].log.read_text(errors="replace"))
            found[system.name] = summary(result) | {"own_log": own}
    finally:
        for program in programs.values():
            program.end()
    return found


def start(system: System, model: str, threads: int, corpus: Corpus, environment: Path) -> Program:
    words = system.command(model, corpus, environment, threads)
    name = f"{system.toolkit}-{model}-{system.precision}-{threads}"
    seen, log = corpus.folder / f"{name}.seen", corpus.folder / f"{name}.log"
    command = [system.python(environment), str(OBSERVED), system.toolkit, str(seen), *words]
    return Program(system.name, command, seen=seen, log=log, threads=threads)


def summary(windows: Iterable[Window]) -> Found:
    """The speed of every window, and what a mean batch held."""
    windows = list(windows)
    batches = [batch for window in windows for batch in window.batches]

    def mean(field: str) -> float:
        return round(statistics.fmean(getattr(batch, field) for batch in batches), 1)

    counts = {field: mean(field) for field in batches[0]._fields[2:]}
    speeds = [round(window.tokens / window.seconds, 1) for window in windows]
    busy = round(sum(window.tokens for window in windows) / sum(window.busy for window in windows), 1)
    return {"speeds": speeds, "a_second_of_the_processor": busy, "batches": len(batches)} | counts


def work_of(model: str, vocabulary: int) -> arithmetic.Work:
    if model == "lstm":
        return arithmetic.lstm(WIDTH, WIDTH, vocabulary)
    return arithmetic.transformer(WIDTH, INNER, LAYERS, vocabulary)


def used(found: Found, work: arithmetic.Work) -> float:
    """GFLOP/s that training needs by the formula, at the median speed."""
    flops = work.flops(found["source_tokens"], found["target_tokens"], found["rows"])
    return flops * statistics.median(found["speeds"]) / found["target_tokens"] / 1e9


def ratio(ours: Found, theirs: Found) -> float:
    """The median over the rounds of how many times as fast we were."""
    pairs = zip(ours["speeds"], theirs["speeds"], strict=True)
    return statistics.median(mine / other for mine, other in pairs)


def table(found: Mapping[str, Found], peaks: Mapping[str, float], work: arithmetic.Work) -> str:
    """One model and number of threads, for people.  `peaks` are GFLOP/s by precision."""
    heads = ["system", "target tokens/s", "slowest to fastest", "a CPU second", "of the peak"]
    heads += ["real target / places", "source", "Seqloom is"]
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    ours = next((found[system.name] for system in OURS if "speeds" in found.get(system.name, {})), None)
    for name, one in found.items():
        if "failed" in one:
            lines.append(f"| {name} | failed: {one['failed']} | | | | | | |")
            continue
        speeds, peak = one["speeds"], peaks[name.split()[1]]
        cells = [
            name,
            f"{statistics.median(speeds):,.0f}",
            f"{min(speeds):,.0f} to {max(speeds):,.0f}",
            f"{one['a_second_of_the_processor']:,.0f}",
            f"{100 * used(one, work) / peak:.1f} %",
            f"{one['target_tokens']:,.0f} / {one['target_places']:,.0f}",
            f"{one['source_tokens']:,.0f} / {one['source_places']:,.0f}",
            f"{ratio(ours, one):.2f} x" if ours and ours is not one else "",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def block(model: str, threads: int, chosen: argparse.Namespace, vocabulary: int) -> Found:
    """All about one model and number of threads.  The peak is measured before and after, and the better one taken."""
    torch.set_num_threads(threads)
    before = {name: matrix_peak(getattr(torch, name), torch.device("cpu")) for name in ("float32", "bfloat16")}
    found = measure([*OURS, *THEIRS, *(EXTRA if chosen.extra else ())], model, threads, chosen)
    after = {name: matrix_peak(getattr(torch, name), torch.device("cpu")) for name in before}
    peaks = {name: max(before[name], after[name]) for name in before}
    return {"systems": found, "peak_gflops": peaks, "vocabulary": vocabulary}


EXTRA = (System("eole", "bfloat16"), System("fairseq", "bfloat16"))


def stop(number: int, frame: object) -> None:
    """So that no program is left behind."""
    sys.exit(128 + number)


def main() -> None:
    signal.signal(signal.SIGTERM, stop)
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("peers", type=Path, help="the folder of their environments")
    parser.add_argument("--models", nargs="+", choices=("transformer", "lstm"), default=["transformer", "lstm"])
    parser.add_argument("--threads", nargs="+", type=int, default=[2, 1])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0, help="that a system runs in a round")
    parser.add_argument("--warm-up", type=float, default=5.0, help="seconds before the first round")
    parser.add_argument("--extra", action="store_true", help="peers in bfloat16, too")
    parser.add_argument("--again", action="store_true", help="measure what was measured before")
    parser.add_argument("--work", type=Path, default=Path("runs/peers"), help="for data, settings and logs")
    parser.add_argument("--output", type=Path, help="default: WORK/speed.json")
    chosen = parser.parse_args()
    chosen.work = chosen.work.resolve()
    corpus, output = Corpus(chosen.work), chosen.output or chosen.work / "speed.json"
    if not corpus.made:
        (chosen.work / "first").mkdir(parents=True, exist_ok=True)
        corpus.make(recipe("transformer", chosen.work / "first"))
    vocabulary = len((chosen.work / "pieces.txt").read_text("utf8").splitlines())
    known: dict[str, Found] = json.loads(output.read_text()) if output.exists() and not chosen.again else {}
    for model in chosen.models:
        for threads in chosen.threads:
            key = f"{model}, {threads} threads"
            if any("failed" in one for one in known.get(key, {"systems": {"": {"failed"}}})["systems"].values()):
                known[key] = block(model, threads, chosen, vocabulary)
                known["machine"] = {"processor": platform.processor() or platform.machine(), "torch": torch.__version__}
                output.write_text(json.dumps(known, indent=1))
            one = known[key]
            print(f"\n{key}; peak of matrix products: {one['peak_gflops']}\n")
            print(table(one["systems"], one["peak_gflops"], work_of(model, one["vocabulary"])), flush=True)


if __name__ == "__main__":
    main()
