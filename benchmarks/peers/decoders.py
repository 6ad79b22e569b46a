"""Which systems translate with which model, and the files that each of them needs."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from peers import recurrent, weights
from peers.processes import Failed

from seqloom.checkpoint import Checkpoints
from seqloom.config.root import read_config
from seqloom.tokenizers import Tokenizers

DECODING = Path(__file__).parent / "decoding.py"


@dataclass(frozen=True)
class Model:
    """A run of ours, and where its files for other toolkits go."""

    run: Path
    folder: Path
    tokenizers: Tokenizers
    most: int | None = None  # tokens of every target, where the weights are random and so never end one

    @property
    def trained(self) -> bool:
        return self.most is None

    @property
    def symbols(self) -> Sequence[str]:
        return self.tokenizers.source.vocabulary.symbols

    def pieces(self, sentences: Sequence[str]) -> list[list[str]]:
        """Each sentence as the symbols of its tokens."""
        source = self.tokenizers.source
        return [source.tokens(ids) for ids in source.encode(list(sentences))]


@dataclass(frozen=True)
class Decoder:
    """A toolkit; with a `precision`, on what Seqloom exports for CTranslate2; there a run's shortlist can be used.

    Seqloom's own engine has matrix products in float32, or `in_bfloat16`.
    """

    toolkit: str
    precision: str = ""
    shortlist: bool = False
    in_bfloat16: bool = False

    @property
    def name(self) -> str:
        engine = "ctranslate2" if self.precision and self.toolkit == "seqloom" else ""
        own = "bfloat16" if self.in_bfloat16 else ""
        words = [self.toolkit, engine, own, self.precision, "shortlist" if self.shortlist else ""]
        return " ".join(word for word in words if word)

    @property
    def cuts(self) -> bool:
        """Whether it is given text, and cuts it into pieces itself."""
        return self.toolkit == "seqloom"

    def command(self, model: Model, peers: Path) -> list[str]:
        """What starts it; the files that it needs are written first."""
        folder = model.folder / self.name.replace(" ", "-")
        if not (folder / "complete").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            self._write(model, folder)
            (folder / "complete").touch()
        return [self.python(peers), str(DECODING), self.toolkit, str(folder)]

    def python(self, peers: Path) -> str:
        return sys.executable if self.cuts else str(peers / self.toolkit / "bin" / "python")

    def _write(self, model: Model, folder: Path) -> None:
        run = exported(model, self.precision) if self.precision else model.run.resolve()
        (folder / "run").write_text(str(run), "utf8")
        (folder / "engine").write_text("ctranslate2" if self.precision else "native", "utf8")
        for name in ("shortlist", "bfloat16"):
            if name in self.name.split():
                (folder / name).touch()
        if not model.trained:
            recurrent.WRITERS[self.toolkit](model.symbols, folder)
        elif self.toolkit in weights.WRITERS:
            weights.WRITERS[self.toolkit](trained(model), folder)


def exported(model: Model, precision: str) -> Path:
    """The run as CTranslate2 reads it; both who use it have the same.  Raises Failed."""
    place = model.folder / f"export-{precision}"
    if not place.exists():
        words = [sys.executable, "-m", "seqloom", "export", str(model.run), "--to", "ctranslate2"]
        words += ["--precision", precision, "-o", str(place)]
        done = subprocess.run(words, capture_output=True, text=True)
        if done.returncode:
            raise Failed(f"seqloom export says: {(done.stderr.strip().splitlines() or ['nothing'])[-1]}")
    return place


def trained(model: Model) -> weights.Trained:
    """What was learnt, by our names."""
    config = read_config(model.run / "config.yml")
    checkpoint = Checkpoints(model.run / "checkpoints").choose("best")
    tensors = {name: tensor.numpy() for name, tensor in checkpoint.model.items()}
    heads = int(config.model.parameters["encoder"].parameters["heads"])
    return weights.Trained(tensors, model.symbols, heads)


def model_of(name: str, run: Path, work: Path) -> Model:
    """A run as it is, or what has its tokenizer only.  The folder's name changes with what is in the run."""
    folder = work / f"{name}-{stamp(run)}"
    folder.mkdir(parents=True, exist_ok=True)
    most = recurrent.TOKENS if name == "recurrent" else None
    return Model(run, folder, Tokenizers.load(run / "tokenizers"), most)


def stamp(run: Path) -> str:
    """What changes when the run has other weights, or another shortlist."""
    shortlist = run / "shortlist.safetensors"
    digest = hashlib.sha256(f"{run.resolve()} {Checkpoints(run / 'checkpoints').weights('best')}".encode())
    digest.update(shortlist.read_bytes() if shortlist.exists() else b"")
    return digest.hexdigest()[:8]


EXPORTED = (("float32", False), ("int8", False), ("int8", True))  # precision, and whether with a shortlist
MODELS = {
    "transformer": (
        Decoder("seqloom"),
        Decoder("seqloom", in_bfloat16=True),
        *(Decoder(toolkit, *how) for how in EXPORTED for toolkit in ("seqloom", "ctranslate2")),
        Decoder("fairseq"),
        Decoder("hf"),
        Decoder("eole"),
        Decoder("joeynmt"),
    ),
    "recurrent": (Decoder("seqloom"), Decoder("eole"), Decoder("joeynmt")),
}
