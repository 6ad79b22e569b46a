"""How fast a GPU translates: a Transformer of ours, natively and exported, beside transformers' `generate`.

    sh benchmarks/gpu/decode_speed.sh FOLDER [--rehearse] [--minutes 8.5] [--systems ...]

For each system, beam size and batch size: sentences and target tokens a second, the first batch's time, and the memory.
Natively in float32 and bfloat16, as it is and by torch.compile; by CTranslate2 in float16; by transformers in bfloat16.
Each is a row of FOLDER/decode_speed.json as soon as it is known; what there is no time or no package for is named.
Sources are made up, as long as those of news in subwords.  Weights are random and so end no sentence: every target has
the same number of tokens.
"""

from __future__ import annotations

import argparse
import gc
import json
import shutil
import statistics
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

sys.path.insert(0, str(Path(__file__).parents[1]))  # what lies beside this folder is imported

import torch
from gpu.sentences import SEED, made_up

from seqloom.decoders import TransformerDecoder
from seqloom.encoders import TransformerEncoder
from seqloom.engines.base import Request
from seqloom.engines.native import NativeEngine
from seqloom.models import EncoderDecoder, Model, VocabularySizes
from seqloom.models.encoder_decoder import EmbeddingOptions
from seqloom.search.options import SearchOptions
from seqloom.vocabulary import BOS, EOS, SPECIALS, UNK, Vocabulary

Sources = Sequence[list[int]]
POSITIONS = 1024


@dataclass(frozen=True)
class Size:
    """What is measured, and how long."""

    vocabulary: int = 37_000
    width: int = 512
    inner: int = 2048
    layers: int = 6
    heads: int = 8
    tokens: int = 32  # of every target
    beams: tuple[int, ...] = (1, 4)
    batches: tuple[int, ...] = (1, 8, 64, 512)
    rounds: int = 5
    seconds: float = 8.0  # for the rounds of one row; two of them at least
    compiled: bool = True  # by torch.compile, too


TINY = Size(
    vocabulary=60,
    width=16,
    inner=32,
    layers=1,
    heads=2,
    tokens=3,
    beams=(1, 2),
    batches=(1, 3),
    rounds=2,
    seconds=1.0,
    compiled=False,  # which takes minutes on a processor
)


@dataclass
class Row:
    """One measurement."""

    system: str
    beam: int
    batch: int
    seconds: list[float] = field(default_factory=list)  # of each round
    first: float = 0.0  # seconds of the first batch of this shape, compiling included
    gibibytes: float = 0.0  # the most that PyTorch held at once, or what all took; 0 where there is no GPU
    failed: str = ""

    @property
    def speed(self) -> float:
        """Sentences a second."""
        return self.batch / statistics.median(self.seconds)


def built(size: Size) -> Model:
    torch.manual_seed(SEED)
    shape: dict[str, Any] = {"layers": size.layers, "heads": size.heads, "feedforward": size.inner}
    return EncoderDecoder(
        VocabularySizes(size.vocabulary, size.vocabulary, joint=True),
        embedding=EmbeddingOptions(size=size.width, tie="all"),
        encoder=partial(TransformerEncoder, **shape),
        decoder=partial(TransformerDecoder, **shape),
    ).eval()


# 1. Systems.


class System(ABC):
    """Something that translates ids; made anew for each system, so that one model at a time is on the device."""

    def __init__(self, size: Size, device: torch.device):
        self.size, self.device = size, device

    @abstractmethod
    def translate(self, sources: Sources, beam: int) -> int:
        """Translate one batch, and say how many tokens the first target has, an end among them."""


class Native(System):
    """Seqloom's own engine."""

    precision: ClassVar[str] = "float32"
    compiled: ClassVar[bool] = False

    def __init__(self, size: Size, device: torch.device):
        super().__init__(size, device)
        model = built(size)
        if self.compiled:
            model.decoder.compile(dynamic=True)
        self.engine = NativeEngine(model, device=device)

    def translate(self, sources: Sources, beam: int) -> int:
        options = SearchOptions(beam_size=beam, max_length=self.size.tokens)
        with self._numbers():
            found = self.engine.search(sources, Request(options=options, forbidden=(BOS, UNK)))
        return len(found[0].hypotheses[0].tokens) + 1

    def _numbers(self) -> AbstractContextManager[Any]:
        if self.precision == "float32":
            return nullcontext()
        return torch.autocast(self.device.type, getattr(torch, self.precision))


class NativeBfloat16(Native):
    precision = "bfloat16"


class Compiled(NativeBfloat16):
    compiled = True


class CTranslate2(System):
    """The same model as Seqloom exports it."""

    def __init__(self, size: Size, device: torch.device):
        super().__init__(size, device)
        import ctranslate2

        from seqloom.exporting.ctranslate2_spec import transformer_of

        self.symbols = [*SPECIALS, *(f"▁{i}" for i in range(len(SPECIALS), size.vocabulary))]
        side = SimpleNamespace(vocabulary=Vocabulary(self.symbols))
        spec = transformer_of(built(size), SimpleNamespace(source=side, target=side), positions=POSITIONS)  # type: ignore[arg-type]
        self.folder = Path(tempfile.mkdtemp())
        spec.save(str(self.folder))
        number = "float16" if device.type == "cuda" else "float32"
        self.translator = ctranslate2.Translator(str(self.folder), device=device.type, compute_type=number)
        shutil.rmtree(self.folder)

    def translate(self, sources: Sources, beam: int) -> int:
        pieces = [[self.symbols[i] for i in source] for source in sources]
        found = self.translator.translate_batch(
            pieces,
            beam_size=beam,
            max_batch_size=len(pieces),
            max_input_length=0,
            max_decoding_length=self.size.tokens,
            disable_unk=True,
        )
        return len(found[0].hypotheses[0])


class HuggingFace(System):
    """transformers: Pegasus, which is MarianMT with the norms before the parts, of the same size."""

    def __init__(self, size: Size, device: torch.device):
        super().__init__(size, device)
        from transformers import PegasusConfig, PegasusForConditionalGeneration

        sides = {"layers": size.layers, "ffn_dim": size.inner, "attention_heads": size.heads}
        config = PegasusConfig(
            vocab_size=size.vocabulary + 1,
            d_model=size.width,
            activation_function="relu",
            scale_embedding=True,
            pad_token_id=size.vocabulary,
            bos_token_id=BOS,
            eos_token_id=EOS,
            decoder_start_token_id=BOS,
            forced_eos_token_id=None,
            **{f"{side}_{name}": value for side in ("encoder", "decoder") for name, value in sides.items()},
        )
        torch.manual_seed(SEED)
        number = torch.bfloat16 if device.type == "cuda" else torch.float32
        self.model = PegasusForConditionalGeneration(config).eval().to(device, number)

    def translate(self, sources: Sources, beam: int) -> int:
        rows, padding = [[*source, EOS] for source in sources], self.size.vocabulary
        longest = max(map(len, rows))
        ids = torch.tensor([row + [padding] * (longest - len(row)) for row in rows], device=self.device)
        with torch.inference_mode():
            found = self.model.generate(
                input_ids=ids,
                attention_mask=ids.ne(padding).long(),
                num_beams=beam,
                do_sample=False,
                max_new_tokens=self.size.tokens,
            )
        return int(found[0].ne(padding).sum()) - 1  # what it starts with is no token of the target


SYSTEMS: dict[str, type[System]] = {
    "native bfloat16": NativeBfloat16,
    "ctranslate2 float16": CTranslate2,
    "transformers bfloat16": HuggingFace,
    "native float32": Native,
    "native bfloat16, compiled": Compiled,
}
OURS = "native bfloat16"


# 2. Measuring.


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def timed(system: System, sources: Sources, beam: int) -> float:
    """Seconds for one batch.  RuntimeError unless its targets are as long as they are to be."""
    wait(system.device)
    started = time.perf_counter()
    tokens = system.translate(sources, beam)
    wait(system.device)
    seconds = time.perf_counter() - started
    if tokens != system.size.tokens:
        raise RuntimeError(f"targets have {tokens} tokens instead of {system.size.tokens}")
    return seconds


def measure(row: Row, system: System, sources: Sources) -> None:
    """Fill a row: a first batch, then others of the same shape."""
    device, size = system.device, system.size
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    row.first = round(timed(system, sources, row.beam), 4)
    until = time.perf_counter() + size.seconds
    while len(row.seconds) < 2 or (len(row.seconds) < size.rounds and time.perf_counter() < until):
        row.seconds.append(round(timed(system, sources, row.beam), 5))
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info()
        held = torch.cuda.max_memory_allocated() if not isinstance(system, CTranslate2) else total - free
        row.gibibytes = round(held / 2**30, 2)


def rows_of(name: str, size: Size) -> Iterator[Row]:
    for batch, beam in product(size.batches, size.beams):
        yield Row(name, beam, batch)


def run(size: Size, names: Sequence[str], device: torch.device, folder: Path, minutes: float) -> dict[str, Any]:
    """Measure system after system and write each row down; what there is no time for is left out."""
    until = time.perf_counter() + 60 * minutes
    report = described(size, device) | {"rows": [], "left_out": []}
    pairs = made_up(size.vocabulary, max(size.batches) * 80)
    for name in names:
        if name.endswith("compiled") and not size.compiled:
            continue
        for row in attempted(name, size, pairs, device, until=until):
            late = not (row.seconds or row.failed)
            report["left_out" if late else "rows"].append(row.system if late else asdict(row))
            (folder / "decode_speed.json").write_text(json.dumps(report, indent=1))
            print(f"{name}, beam {row.beam}, batch {row.batch}: {row.failed or row.seconds}", flush=True)
        gc.collect()
        if device.type == "cuda":
            torch.cuda.empty_cache()
    return report


def attempted(name: str, size: Size, pairs: Any, device: torch.device, *, until: float) -> Iterator[Row]:
    """A system's rows.  One that fails says why; one that can't even be made says it once."""
    rows = list(rows_of(name, size))
    try:
        system = SYSTEMS[name](size, device)
    except Exception as error:  # noqa: BLE001 - a package may be missing, or too old
        rows[0].failed = said(error)
        yield rows[0]
        return
    for row in rows:
        if time.perf_counter() < until:
            try:
                measure(row, system, [source.tolist() for source, _ in pairs[: row.batch]])
            except Exception as error:  # noqa: BLE001 - a compiler may raise anything
                row.failed = said(error)
        yield row


def said(error: Exception) -> str:
    return f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0]}"


def described(size: Size, device: torch.device) -> dict[str, Any]:
    name = torch.cuda.get_device_name() if device.type == "cuda" else "cpu"
    return {"device": name, "torch": torch.__version__, "size": asdict(size)}


def table(report: dict[str, Any]) -> str:
    """For people, a block for each shape.  The last column says how many times as fast as a system we are."""
    rows = [Row(**row) for row in report["rows"]]
    ours = {(row.beam, row.batch): row for row in rows if row.system == OURS and row.seconds}
    heads = ["batch", "beam", "system", "sentences/s", "tokens/s", "first batch", "GiB", f"{OURS} is"]
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for row in sorted(rows, key=lambda row: (row.batch, row.beam)):
        cells = [str(row.batch), str(row.beam), row.system]
        if row.failed:
            lines.append("| " + " | ".join([*cells, f"failed: {row.failed}"]) + " | | | | |")
            continue
        mine = ours.get((row.beam, row.batch))
        cells += [f"{row.speed:,.1f}", f"{row.speed * report['size']['tokens']:,.0f}", f"{row.first:.2f} s"]
        cells += [str(row.gibibytes), f"{mine.speed / row.speed:.2f} x" if mine and row.system != OURS else ""]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rehearse", action="store_true", help="tiny, on the processor")
    parser.add_argument("--minutes", type=float, default=8.5, help="after which nothing new is begun")
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=list(SYSTEMS), metavar="SYSTEM")
    chosen = parser.parse_args()
    if not chosen.rehearse and not torch.cuda.is_available():
        parser.error("there is no GPU here that PyTorch can use; --rehearse runs tiny models on the processor")
    device = torch.device("cpu" if chosen.rehearse else "cuda")
    chosen.folder.mkdir(parents=True, exist_ok=True)
    report = run(TINY if chosen.rehearse else Size(), chosen.systems, device, chosen.folder, chosen.minutes)
    print(f"\n{report['device']}, torch {report['torch']}; {report['size']}\n")
    print(table(report))
    for what in dict.fromkeys(report["left_out"]):
        print(f"left out, or parts of it, for want of time: {what}")


if __name__ == "__main__":
    main()
