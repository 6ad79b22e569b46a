"""How fast a GPU trains: Transformer base and big and an attention LSTM, as a share of the card's own matrix products.

    sh benchmarks/gpu/train_speed.sh FOLDER [--rehearse] [--minutes 8.5] [--source FILE --target FILE]

For each model: real target tokens a second in bfloat16 with and without torch.compile, and in float32; the memory that
training took; and the loss after equally many steps from the same weights on the same batches in both precisions.  Each
is a row of FOLDER/train_speed.json as soon as it is known; what there is no time left for is named as left out.
Sentences are made up, as long as those of news in subwords, of symbols as frequent as words are; or they are the words
of two given files.  Everything but the reading of data is training as Seqloom does it: `seqloom.train.Update`.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))  # what lies beside this folder is imported

import numpy as np
import torch
from gpu.sentences import SEED, Pairs, made_up
from peers import arithmetic

from seqloom.attention.compatibility import General
from seqloom.attention.general import GeneralAttention
from seqloom.data.batches import collate
from seqloom.data.lengths import cut, length_order
from seqloom.decoders import InputFeedingDecoder, TransformerDecoder
from seqloom.encoders import RNNEncoder, TransformerEncoder
from seqloom.layers.recurrent import LSTMCell
from seqloom.models import EncoderDecoder, Model, VocabularySizes
from seqloom.models.encoder_decoder import EmbeddingOptions
from seqloom.structures import Batch
from seqloom.tasks.translation import teacher_forced
from seqloom.train import TrainOptions, Update
from seqloom.vocabulary import SPECIALS

RATE = 2e-4  # from the first step on: what is compared are precisions, not schedules


@dataclass(frozen=True)
class Size:
    """What is measured: shapes, batches and how long."""

    vocabulary: int = 37_000
    tokens: int = 25_000  # a batch, with padding
    batches: int = 24  # different ones, again and again
    warm_up: int = 24  # every shape once, since a kernel may be chosen for each
    block: int = 8  # steps timed together
    blocks: int = 6
    compared: int = 96  # steps after which losses are compared
    square: int = 8192  # rows of the matrices whose product is the peak
    seconds: float = 45.0  # a measurement at most
    compiled: bool = True  # by torch.compile, too
    transformers: tuple[tuple[str, int, int, int, int, float], ...] = (
        ("base", 512, 2048, 6, 8, 0.1),  # name, width, feed-forward, layers, heads, dropout
        ("big", 1024, 4096, 6, 16, 0.3),
    )
    lstm: tuple[int, int] = (1024, 2)  # width, layers


TINY = Size(
    vocabulary=300,
    tokens=200,
    batches=3,
    warm_up=1,
    block=1,
    blocks=2,
    compared=3,
    square=64,
    compiled=False,  # which takes minutes on a processor
    transformers=(("base", 16, 32, 1, 2, 0.1), ("big", 24, 48, 1, 2, 0.3)),
    lstm=(16, 1),
)


@dataclass(frozen=True)
class Kind:
    """A model to measure, and how much work a token of it is."""

    name: str
    make: Callable[[], Model]
    work: arithmetic.Work


@dataclass
class Row:
    """One measurement."""

    model: str
    precision: str
    compiled: bool
    parameters: int = 0
    speeds: list[float] = field(default_factory=list)  # real target tokens a second, of each block
    gflops: float = 0.0  # a second, by the formula, at the median speed
    share_of_peak: float = 0.0
    gibibytes: float = 0.0  # the most that PyTorch held at once; 0 where there is no GPU
    losses: list[float] = field(default_factory=list)  # of a token, at every step from the first
    first_step: float = 0.0  # seconds, compiling included
    failed: str = ""


def kinds(size: Size) -> Iterator[Kind]:
    for name, width, inner, layers, heads, dropout in size.transformers:
        common: dict[str, Any] = {"layers": layers, "heads": heads, "feedforward": inner, "dropout": dropout}
        parts = partial(TransformerEncoder, **common), partial(TransformerDecoder, **common)
        work = arithmetic.transformer(width, inner, layers, size.vocabulary)
        yield Kind(f"transformer {name}", partial(built, size.vocabulary, width, parts), work)
    width, layers = size.lstm
    attention = partial(GeneralAttention, compatibility=General)
    encoder = partial(RNNEncoder, cell=LSTMCell, size=width // 2, layers=layers, dropout=0.2)
    decoder = partial(InputFeedingDecoder, cell=LSTMCell, size=width, layers=layers, attention=attention, dropout=0.2)
    work = arithmetic.lstm(width, width, size.vocabulary, layers=layers)
    yield Kind("attention lstm", partial(built, size.vocabulary, width, (encoder, decoder)), work)


def built(vocabulary: int, width: int, parts: tuple[Callable[..., Any], Callable[..., Any]]) -> Model:
    torch.manual_seed(SEED)
    sizes = VocabularySizes(vocabulary, vocabulary, joint=True)
    return EncoderDecoder(sizes, encoder=parts[0], decoder=parts[1], embedding=EmbeddingOptions(size=width, tie="all"))


# 1. Data.


def given(source: Path, target: Path, vocabulary: int, tokens: int) -> Pairs:
    """The pairs of two files, words between spaces numbered by how frequent they are; rare ones share numbers."""
    sides = [[line.split() for line in path.read_text("utf8").splitlines()] for path in (source, target)]
    counts = Counter(word for side in sides for line in side for word in line)
    room = vocabulary - len(SPECIALS)
    numbers = {word: len(SPECIALS) + rank % room for rank, (word, _) in enumerate(counts.most_common())}
    pairs, made = [], 0
    for lines in zip(*sides, strict=True):
        if all(lines) and made < tokens:
            first, second = (np.array([numbers[word] for word in line], np.int64) for line in lines)
            pairs.append((first, second))
            made += len(second) + 1
    return pairs


def batches_of(pairs: Pairs, size: Size) -> list[Batch]:
    """Batches of pairs of similar lengths, in a random order."""
    source, target = (np.array([len(pair[side]) for pair in pairs]) for side in (0, 1))
    order = length_order(source, target, ties=np.arange(len(pairs)))
    ends = cut(np.maximum(source, target)[order] + 1, size.tokens)
    groups = [order[start:end] for start, end in zip(ends[:-1], ends[1:], strict=True)]
    shuffled = np.random.default_rng(SEED).permutation(len(groups))[: size.batches]
    return [collate([pairs[int(i)] for i in groups[number]]) for number in shuffled]


# 2. Measuring.


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def peak(precision: str, size: int, device: torch.device) -> float:
    """The best of several products of square matrices, in GFLOP/s; float32 as PyTorch is set up for it."""
    a, b = (torch.randn(size, size, device=device).to(getattr(torch, precision)) for _ in range(2))
    best = math.inf
    for _ in range(20):
        wait(device)
        started = time.perf_counter()
        for _ in range(5):
            a @ b
        wait(device)
        best = min(best, (time.perf_counter() - started) / 5)
    return 2 * size**3 / best / 1e9


class Training:
    """A model, its updates and its batches."""

    def __init__(self, kind: Kind, batches: Sequence[Batch], options: TrainOptions, device: torch.device):
        self.model = kind.make().to(device)
        self.batches, self.step = [batch.to(device) for batch in batches], 0
        loss = partial(teacher_forced, label_smoothing=options.label_smoothing)
        self.update = Update(self.model, loss, options, device)

    def __call__(self) -> tuple[float, int]:
        """One step: the loss of a token, and how many there were."""
        batch = self.batches[self.step % len(self.batches)]
        self.step += 1
        outcome = self.update([batch], seeds=[self.step], rate=RATE, most=math.inf)
        return outcome.loss, outcome.tokens


def measure(row: Row, kind: Kind, batches: Sequence[Batch], size: Size, *, until: float, device: torch.device) -> None:
    """Fill a row: steps until the losses can be compared, blocks of which are timed once all shapes were met."""
    options = TrainOptions(precision=row.precision, compile=row.compiled, label_smoothing=0.1, device=str(device))
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    training, started = Training(kind, batches, options, device), time.perf_counter()
    row.parameters = sum(parameter.numel() for parameter in training.model.parameters())
    end = min(until, started + size.seconds)
    row.losses.append(training()[0])
    wait(device)
    row.first_step = round(time.perf_counter() - started, 2)
    while training.step < size.warm_up and time.perf_counter() < end:
        row.losses.append(training()[0])
    while (len(row.speeds) < size.blocks or training.step < size.compared) and time.perf_counter() < end:
        row.speeds.append(round(block(training, row, size.block, device)))
    if not row.speeds:  # the time is over, and something is better than nothing
        row.speeds.append(round(block(training, row, 1, device)))
    if device.type == "cuda":
        row.gibibytes = round(torch.cuda.max_memory_allocated() / 2**30, 2)


def block(training: Training, row: Row, steps: int, device: torch.device) -> float:
    """Real target tokens a second in so many steps."""
    wait(device)
    started, tokens = time.perf_counter(), 0
    for _ in range(steps):
        loss, count = training()
        row.losses.append(loss)
        tokens += count
    wait(device)
    return tokens / (time.perf_counter() - started)


def needed(kind: Kind, batches: Sequence[Batch]) -> float:
    """Operations a real target token by the formula, over all batches."""
    flops = tokens = 0.0
    for batch in batches:
        source, target = int(batch.source.mask.sum()), int(batch.target.mask[:, 1:].sum())
        flops += kind.work.flops(source, target, len(batch.source.ids))
        tokens += target
    return flops / tokens


def apart(row: Row, other: Row, last: int) -> tuple[float, int] | None:
    """By how much the loss differs from another's, as a share of it, and after how many steps.

    The mean of the `last` steps that both have taken, so that it is of all batches alike; None if either has taken
    fewer.
    """
    steps = min(len(row.losses), len(other.losses))
    if steps < last:
        return None
    mine, theirs = (statistics.fmean(one.losses[steps - last : steps]) for one in (row, other))
    return mine / theirs - 1, steps


# 3. All of it.


def rows_of(size: Size) -> Iterator[tuple[Kind, Row]]:
    """What is measured, the most wanted first."""
    found = list(kinds(size))
    ways = [("bfloat16", False), ("float32", False), *([("bfloat16", True)] if size.compiled else [])]
    for precision, compiled in ways:
        for kind in found:
            yield kind, Row(kind.name, precision, compiled)


def run(size: Size, pairs: Pairs, device: torch.device, folder: Path, minutes: float) -> dict[str, Any]:
    """Measure row after row and write each down; what there is no time for is left out."""
    until, batches = time.perf_counter() + 60 * minutes, batches_of(pairs, size)
    peaks = {precision: round(peak(precision, size.square, device)) for precision in ("float32", "bfloat16")}
    report: dict[str, Any] = described(device, batches) | {"peak_gflops": peaks, "rows": [], "left_out": []}
    for kind, row in rows_of(size):
        if time.perf_counter() > until:
            report["left_out"].append(f"{row.model} {row.precision}{' compiled' if row.compiled else ''}")
            continue
        attempt(row, kind, batches, size, until=until, device=device)
        if row.speeds:
            row.gflops = round(needed(kind, batches) * statistics.median(row.speeds) / 1e9, 3)
            row.share_of_peak = round(row.gflops / peaks[row.precision], 4)
        report["rows"].append(asdict(row))
        (folder / "train_speed.json").write_text(json.dumps(report, indent=1))
        print(f"{row.model} {row.precision} compiled={row.compiled}: {row.failed or row.speeds}", flush=True)
    (folder / "train_speed.json").write_text(json.dumps(report, indent=1))
    return report


def attempt(row: Row, kind: Kind, batches: Sequence[Batch], size: Size, *, until: float, device: torch.device) -> None:
    """Measure, and note it if that fails: the other rows are wanted all the same."""
    try:
        measure(row, kind, batches, size, until=until, device=device)
    except Exception as error:  # noqa: BLE001 - a compiler may raise anything
        row.failed = f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}"
    if row.compiled:
        torch._dynamo.reset()
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def described(device: torch.device, batches: Sequence[Batch]) -> dict[str, Any]:
    real, places = (sum(counts) for counts in zip(*map(target_counts, batches), strict=True))
    return {
        "device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu",
        "torch": torch.__version__,
        "batches": len(batches),
        "target_tokens_a_batch": round(real / len(batches), 1),
        "padding_percent": round(100 * (1 - real / places), 2),
    }


def target_counts(batch: Batch) -> tuple[int, int]:
    mask = batch.target.mask[:, 1:]
    return int(mask.sum()), mask.numel()


def table(report: dict[str, Any]) -> str:
    """For people.  The last column compares a row with the same model's in float32."""
    rows = [Row(**row) for row in report["rows"]]
    plain = {row.model: row for row in rows if row.precision == "float32" and not row.compiled}
    heads = ["model", "parameters", "precision", "target tokens/s", "of the peak", "GiB", "loss against float32"]
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for row in rows:
        how = row.precision + (", compiled" if row.compiled else "")
        if row.failed:
            lines.append(f"| {row.model} | {row.parameters:,} | {how} | failed: {row.failed} | | | |")
            continue
        difference = None
        if row.model in plain and row is not plain[row.model]:
            difference = apart(row, plain[row.model], report["batches"])
        said = f"{100 * difference[0]:+.2f} % after {difference[1]} steps" if difference else ""
        speed, share = f"{statistics.median(row.speeds):,.0f}", f"{100 * row.share_of_peak:.1f} %"
        lines.append(f"| {row.model} | {row.parameters:,} | {how} | {speed} | {share} | {row.gibibytes} | {said} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rehearse", action="store_true", help="tiny, on the processor")
    parser.add_argument("--minutes", type=float, default=8.5, help="after which nothing new is begun")
    parser.add_argument("--source", type=Path, help="text to train on, with --target")
    parser.add_argument("--target", type=Path)
    chosen = parser.parse_args()
    if (chosen.source is None) != (chosen.target is None):
        parser.error("--source and --target go together")
    if not chosen.rehearse and not torch.cuda.is_available():
        parser.error("there is no GPU here that PyTorch can use; --rehearse runs tiny models on the processor")
    device = torch.device("cpu" if chosen.rehearse else "cuda")
    size = TINY if chosen.rehearse else Size()
    size = replace(size, seconds=min(size.seconds, 60 * chosen.minutes))
    enough = 2 * size.batches * size.tokens
    if chosen.source:
        pairs = given(chosen.source, chosen.target, size.vocabulary, enough)
    else:
        pairs = made_up(size.vocabulary, enough)
    chosen.folder.mkdir(parents=True, exist_ok=True)
    report = run(size, pairs, device, chosen.folder, chosen.minutes)
    print(f"\n{report['device']}, torch {report['torch']}; peak of matrix products: {report['peak_gflops']} GFLOP/s")
    print(f"{report['target_tokens_a_batch']} target tokens a batch, {report['padding_percent']} % padding\n")
    print(table(report))
    for what in report["left_out"]:
        print(f"left out for want of time: {what}")


if __name__ == "__main__":
    main()
