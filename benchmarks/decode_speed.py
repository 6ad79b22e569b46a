"""How fast Seqloom translates beside other toolkits: the same weights, the same text, in turns, in one run.

    for name in fairseq eole joeynmt hf ctranslate2; do sh benchmarks/peers/install.sh $name PEERS/$name; done
    seqloom train recipes/multi30k-transformer.yml
    seqloom shortlist runs/multi30k-transformer
    python benchmarks/decode_speed.py PEERS [--run runs/multi30k-transformer] [--beams 1 5] [--batches 1 64] ...

The weights of one trained Transformer are written in the form of each toolkit.  Every toolkit is a process that waits
until it is its turn; in each round all of them translate the same sentences, in an order that moves by one.  Loading
and a first translation are given apart.  OUTPUT keeps what was found after every combination of model, text, beam and
batch: a second call measures what is missing (or all with --again).  docs/peers.md says what is counted, and how.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))  # whoever imports this file finds the ones beside it

from peers.decoders import MODELS, Decoder, Model, model_of
from peers.processes import Failed, rotated
from peers.workers import Answer, Worker
from sacrebleu.metrics import BLEU

BENCHMARKS = Path(__file__).resolve().parent
DATA = Path(os.environ.get("SEQLOOM_DATA") or BENCHMARKS.parent.parent / "shared" / "data") / "mt"
TEXTS = {  # where they are, and how many sentences of them
    "multi30k": ("multi30k/test_2016_flickr", 1000),
    "newstest2014": ("newstest-en-de/newstest2014", 200),
}
OURS = "seqloom"
WANTED = {  # how many times as fast the first is to be as the second
    "transformer": {
        ("seqloom", "fairseq"): 1.5,
        ("seqloom", "hf"): 2.5,
        ("seqloom", "eole"): 2.0,
        ("seqloom", "joeynmt"): 2.0,
        ("seqloom ctranslate2 float32", "ctranslate2 float32"): 0.97,
        ("seqloom ctranslate2 int8", "ctranslate2 int8"): 0.97,
        ("seqloom ctranslate2 int8 shortlist", "ctranslate2 int8 shortlist"): 0.97,
    },
    "recurrent": {("seqloom", "eole"): 1.0, ("seqloom", "joeynmt"): 1.0},
}
SPREAD = 10  # one by one, only every so many sentences are translated
WARM_UP = 0.1  # of the sentences, eight at least, before they are all translated for the first time
Found = dict[str, Any]


@dataclass(frozen=True)
class Setting:
    """One comparison."""

    text: str
    beam: int
    batch: int

    @property
    def name(self) -> str:
        return f"{self.text}, beam {self.beam}, batch {self.batch}"


@dataclass
class Timed:
    """What became of one system in one setting, a value a round."""

    seconds: list[float] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)
    peaks: list[float] = field(default_factory=list)
    targets: list[str] = field(default_factory=list)  # of the last round
    warm_up: float = 0.0

    def add(self, answer: Answer) -> None:
        self.seconds.append(round(answer["seconds"], 4))
        self.busy.append(round(answer["busy"], 4))
        self.peaks.append(answer["peak"])
        self.targets = answer["targets"]


class Sources:
    """The sentences of a text, as they are and as a model's pieces, in files."""

    def __init__(self, model: Model, text: str, *, lines: int | None = None):
        self.model, self.text = model, text
        path, usual = TEXTS[text]
        self.sentences, self.references = (
            (DATA / f"{path}.{side}").read_text("utf8").split("\n")[:-1][: lines or usual] for side in ("en", "de")
        )

    def chosen(self, batch: int) -> list[int]:
        """The numbers of the sentences that are translated in batches of this size."""
        return list(range(0, len(self.sentences), SPREAD if batch == 1 else 1))

    def files(self, numbers: Sequence[int], name: str) -> tuple[Path, Path]:
        """Where the sentences of these numbers are: raw and in pieces."""
        raw, cut = (self.model.folder / f"{self.text}-{name}.{ending}" for ending in ("txt", "pieces"))
        sentences = [self.sentences[i] for i in numbers]
        raw.write_text("".join(f"{sentence}\n" for sentence in sentences), "utf8")
        cut.write_text("".join(" ".join(row) + "\n" for row in self.model.pieces(sentences)), "utf8")
        return raw, cut

    def words(self, numbers: Sequence[int]) -> int:
        return sum(len(self.sentences[i].split()) for i in numbers)


class Comparison:
    """All systems with one model and one number of threads, loaded and waiting."""

    def __init__(self, model: Model, decoders: Sequence[Decoder], chosen: argparse.Namespace):
        self.model, self.chosen = model, chosen
        self.failed: dict[str, str] = {}
        self.loading: dict[str, float] = {}
        self.workers: dict[str, Worker] = {}
        self.decoders = {decoder.name: decoder for decoder in decoders}
        for decoder in decoders:
            self._start(decoder)

    def _start(self, decoder: Decoder) -> None:
        try:
            command = decoder.command(self.model, self.chosen.peers)
            log = self.model.folder / f"{decoder.name.replace(' ', '-')}.log"
            worker = self.workers[decoder.name] = Worker(decoder.name, command, log=log, threads=self.chosen.threads)
            self.loading[decoder.name] = round(worker.loaded()["loading"], 2)
        except Failed as failure:
            self._out(decoder.name, failure)

    def _out(self, name: str, failure: Failed) -> None:
        self.failed[name] = str(failure)
        self.workers.pop(name, None)

    def measure(self, setting: Setting, sources: Sources) -> Found:
        """Every system's rounds, each beside the others'."""
        numbers, timed = sources.chosen(setting.batch), {name: Timed() for name in self.workers}
        few = numbers[: max(8, int(WARM_UP * len(numbers)))]
        self._warm_up(setting, sources.files(few, "few"), timed)
        self._take_turns(setting, sources.files(numbers, "all"), timed)
        references = [sources.references[i] for i in numbers]
        systems = {name: self._summary(name, timed, references) for name in self.workers}
        counts = {"model": self.model.folder.name, "sentences": len(numbers), "words": sources.words(numbers)}
        return counts | {"systems": systems | {name: {"failed": why} for name, why in self.failed.items()}}

    def _warm_up(self, setting: Setting, files: tuple[Path, Path], timed: Mapping[str, Timed]) -> None:
        for name in list(self.workers):
            if answer := self._asked(name, setting, files):
                timed[name].warm_up = round(answer["seconds"], 3)

    def _take_turns(self, setting: Setting, files: tuple[Path, Path], timed: Mapping[str, Timed]) -> None:
        for turn in range(self.chosen.rounds):
            for name in rotated(list(self.workers), turn):
                if turn and timed[name].seconds[0] > self.chosen.patience:
                    continue
                if answer := self._asked(name, setting, files):
                    timed[name].add(answer)

    def _asked(self, name: str, setting: Setting, files: tuple[Path, Path]) -> Answer | None:
        raw, cut = files
        how = {"beam": setting.beam, "batch": setting.batch, "penalty": self.chosen.length_penalty}
        text = raw if self.decoders[name].cuts else cut
        try:
            return self.workers[name].ask(text=str(text), most=self.model.most, **how)
        except Failed as failure:
            self._out(name, failure)
            return None

    def _summary(self, name: str, timed: Mapping[str, Timed], references: Sequence[str]) -> Found:
        mine, ours = timed[name], timed.get(OURS)
        found: Found = {"seconds": mine.seconds, "busy": mine.busy, "peak_mib": max(mine.peaks)}
        found |= {"loading_seconds": self.loading[name], "warm_up_seconds": mine.warm_up}
        found["target_pieces"] = round(statistics.fmean(len(target.split()) for target in mine.targets), 2)
        if self.model.trained:
            found["bleu"] = round(
                BLEU().corpus_score([joined(target) for target in mine.targets], [references]).score, 2
            )
            if ours and ours.targets:
                found["equal"] = round(share_equal(mine.targets, ours.targets), 4)
        return found

    def close(self) -> None:
        for worker in self.workers.values():
            worker.end()


def joined(pieces: str) -> str:
    """Pieces as text."""
    return pieces.replace(" ", "").replace("▁", " ").strip()


def share_equal(targets: Sequence[str], others: Sequence[str]) -> float:
    return statistics.fmean(a == b for a, b in zip(targets, others, strict=True))


def ratio(ours: Found, theirs: Found) -> float:
    """The median, over the rounds that both took part in, of how many times as fast we were."""
    return statistics.median(other / mine for mine, other in zip(ours["seconds"], theirs["seconds"], strict=False))


def table(found: Found) -> str:
    """One setting, for people."""
    heads = ["system", "sentences/s", "words/s", "slowest to fastest", "a CPU second", "peak MiB", "equal", "BLEU"]
    heads += ["pieces", "Seqloom is"]
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    systems, sentences = found["systems"], found["sentences"]
    ours = systems.get(OURS, {})
    for name, one in systems.items():
        if "failed" in one:
            lines.append(f"| {name} | failed: {one['failed']} " + "| " * (len(heads) - 2) + "|")
            continue
        speeds = sorted(sentences / seconds for seconds in one["seconds"])
        cells = [
            name,
            f"{statistics.median(speeds):,.1f}",
            f"{statistics.median(speeds) * found['words'] / sentences:,.0f}",
            f"{speeds[0]:,.1f} to {speeds[-1]:,.1f}",
            f"{sentences / statistics.median(one['busy']):,.1f}",
            f"{one['peak_mib']:,.0f}",
            f"{100 * one['equal']:.1f} %" if "equal" in one else "",
            f"{one['bleu']:.2f}" if "bleu" in one else "",
            f"{one['target_pieces']:.1f}",
            f"{ratio(ours, one):.2f} x" if "seconds" in ours and name != OURS else "",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def bars(name: str, known: Mapping[str, Found], keys: Sequence[str]) -> str:
    """What was wanted of a model beside what was found, a line a pair of systems and a column a setting."""
    heads = [f"{name}: how many times as fast", "wanted", *(key.split(", ", 1)[1] for key in keys)]
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for (mine, other), wanted in WANTED[name].items():
        pairs = [[known[key]["systems"].get(system, {}) for system in (mine, other)] for key in keys]
        ratios = [f"{ratio(*pair):.2f}" if all("seconds" in one for one in pair) else "" for pair in pairs]
        lines.append(f"| {mine} / {other} | {wanted} | " + " | ".join(ratios) + " |")
    return "\n".join(lines)


def settings(chosen: argparse.Namespace) -> Iterator[Setting]:
    for text, batch, beam in product(chosen.texts, chosen.batches, chosen.beams):
        yield Setting(text, beam, batch)


def complete(found: Found | None, decoders: Sequence[Decoder], model: Model, sentences: int) -> bool:
    """Whether all of these systems were measured beside each other, with this model and so many sentences."""
    if not found or (found.get("model"), found["sentences"]) != (model.folder.name, sentences):
        return False
    return all("seconds" in found["systems"].get(decoder.name, {}) for decoder in decoders)


def compare(name: str, chosen: argparse.Namespace, known: Found, output: Path) -> None:
    """All settings of one model; what is known already is only shown."""
    model, wanted = model_of(name, chosen.run, chosen.work), list(settings(chosen))
    decoders = [decoder for decoder in MODELS[name] if not chosen.systems or decoder.name in chosen.systems]
    texts = {text: Sources(model, text, lines=chosen.lines) for text in chosen.texts}
    keys = {f"{name}, {setting.name}, {chosen.threads} threads": setting for setting in wanted}
    counts = {key: len(texts[setting.text].chosen(setting.batch)) for key, setting in keys.items()}
    missing = [key for key in keys if not complete(known.get(key), decoders, model, counts[key])]
    for key in [key for key in keys if key not in missing]:
        print(f"\n{key} (from {output})\n\n{table(known[key])}", flush=True)
    with closing(Comparison(model, decoders if missing else [], chosen)) as comparison:
        for key in missing:
            known[key] = comparison.measure(keys[key], texts[keys[key].text])
            known["machine"] = {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count()}
            output.write_text(json.dumps(known, indent=1))
            print(f"\n{key}\n\n{table(known[key])}", flush=True)
    print(f"\n{bars(name, known, list(keys))}", flush=True)


def stop(number: int, frame: object) -> None:
    """So that no process is left behind."""
    sys.exit(128 + number)


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    names = list(dict.fromkeys(decoder.name for decoders in MODELS.values() for decoder in decoders))
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("peers", type=Path, help="the folder of their environments")
    parser.add_argument("--run", type=Path, default=Path("runs/multi30k-transformer"), help="of a Transformer")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--systems", nargs="+", choices=names, metavar="SYSTEM", help=f"of {', '.join(names)}")
    parser.add_argument("--texts", nargs="+", choices=TEXTS, default=list(TEXTS))
    parser.add_argument("--beams", nargs="+", type=int, default=[1, 5])
    parser.add_argument("--batches", nargs="+", type=int, default=[64, 1])
    parser.add_argument("--lines", type=int, help=f"of each text; one by one, only every {SPREAD}th of them")
    parser.add_argument("--length-penalty", type=float, default=1.0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--patience", type=float, default=60.0, help="seconds; who is slower has one round only")
    parser.add_argument("--again", action="store_true", help="measure what was measured before")
    parser.add_argument("--work", type=Path, default=Path("runs/decode-speed"), help="for models and logs")
    parser.add_argument("--output", type=Path, help="default: WORK/speed.json")
    return parser.parse_args(words)


def main() -> None:
    signal.signal(signal.SIGTERM, stop)
    chosen = arguments()
    chosen.work = chosen.work.resolve()
    chosen.work.mkdir(parents=True, exist_ok=True)
    output = chosen.output or chosen.work / "speed.json"
    known: Found = json.loads(output.read_text()) if output.exists() and not chosen.again else {}
    for name in chosen.models:
        compare(name, chosen, known, output)


if __name__ == "__main__":
    main()
