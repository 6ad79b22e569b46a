"""Exported models: directories that hold all that translating takes, read without PyTorch.

DIR/manifest.json    what this is: the engine, the search options, the weights it was made of, the SHA-256 of each file
DIR/config.yml       the configuration of the run
DIR/tokenizers/      text <-> ids
DIR/model.bin, ...   the model, as its engine wants it
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqloom.engines.base import Engine
from seqloom.errors import CheckpointError, UsageError
from seqloom.proof import FILE as GOLDEN
from seqloom.proof import Golden, replay
from seqloom.search.options import SearchOptions
from seqloom.tokenizers import Tokenizers
from seqloom.translate import Translator

if TYPE_CHECKING:
    from seqloom.engines.onnx import OnnxEncoder

FORMAT = 1
MANIFEST = "manifest.json"
MODELS = ("model.bin", "encoder.onnx")  # what engines want
LEAST = 0.75  # of golden texts come out the same where numbers are of less precision than float32
PATHS = ("dictionary", "forbid_file")  # of the search options


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What an export says of itself."""

    engine: str
    precision: str
    search: dict[str, Any]  # those of the run's search options that aren't the default, as JSON can hold them
    weights: str  # the SHA-256 of the checkpoint's weights that it was made of
    model: dict[str, Any]  # what the engine must know of the model
    files: dict[str, str]  # the SHA-256 of every other file, by its path below the directory
    versions: dict[str, str]  # of the programs that made it
    proof: dict[str, Any] | None = None  # how it compares with the native engine, and what speaks against it
    format: int = FORMAT

    @classmethod
    def read(cls, directory: Path) -> Manifest:
        """Raises CheckpointError if it is missing, damaged or of another format."""
        path = directory / MANIFEST
        try:
            said = json.loads(path.read_bytes())
            if said["format"] != FORMAT:
                raise CheckpointError(f"{path} has format {said['format']}; this version of Seqloom reads {FORMAT}")
            manifest = cls(**said)
            manifest.options(), manifest.proven  # noqa: B018 - whether they can be told
            return manifest
        except FileNotFoundError as error:
            raise CheckpointError(f"{directory} is no export: it has no {MANIFEST}") from error
        except (ValueError, KeyError, TypeError) as error:
            raise CheckpointError(f"{path} is damaged: it does not describe an export") from error

    def write(self, directory: Path) -> None:
        """Write it where `read` finds it."""
        said = {field.name: getattr(self, field.name) for field in fields(self)}
        (directory / MANIFEST).write_text(json.dumps(said, indent=1) + "\n", "utf8")

    @property
    def proven(self) -> bool:
        """Whether it was compared with the native engine, and nothing speaks against it."""
        return self.proof is not None and self.proof["complaint"] is None

    def options(self) -> SearchOptions:
        """The run's search options."""
        return SearchOptions(**{name: _option(name, value) for name, value in self.search.items()})

    def fingerprint(self) -> str:
        """A SHA-256 of all files."""
        return hashlib.sha256(json.dumps(self.files, sort_keys=True).encode()).hexdigest()


def described(options: SearchOptions) -> dict[str, Any]:
    """Search options as JSON can hold them, those that are the default left out."""
    values = {field.name: getattr(options, field.name) for field in fields(options)}
    changed = {name: value for name, value in values.items() if value != getattr(SearchOptions, name)}
    return {name: str(value) if isinstance(value, Path) else value for name, value in changed.items()}


def _option(name: str, value: Any) -> Any:
    """What `described` made a plain value of."""
    if isinstance(value, list):
        return tuple(value)
    return Path(value) if name in PATHS else value


def is_bundle(directory: Path) -> bool:
    """Whether there is an export in this directory."""
    return (directory / MANIFEST).is_file()


def check_has_manifest(directory: Path) -> None:
    """Raises CheckpointError for what was an export, and isn't a run either."""
    exported = any((directory / name).exists() for name in MODELS)
    if exported and not is_bundle(directory) and not (directory / "checkpoints").exists():
        raise CheckpointError(f"{directory} is a damaged export: it has no {MANIFEST}; export the run again")


def sums(directory: Path) -> dict[str, str]:
    """The SHA-256 of every file in a directory but its manifest, by its path below it."""
    files = sorted(path for path in directory.rglob("*") if path.is_file() and path != directory / MANIFEST)
    return {path.relative_to(directory).as_posix(): _sum(path) for path in files}


def load(directory: Path, *, device: str = "auto", verify: bool = True) -> Translator:
    """The exported model in a directory, ready to translate.

    Raises CheckpointError where a file is missing or isn't the one that was exported or, unless `verify` is False, the
    model doesn't make of its golden texts what it made of them when it was exported; and UsageError where its engine
    isn't installed.
    """
    manifest, tokenizers = checked(directory), Tokenizers.load(directory / "tokenizers")
    translator = Translator(_engine(directory, manifest, tokenizers, device), tokenizers, manifest.options())
    golden = Golden.read(directory / GOLDEN) if verify else None
    if golden is not None:
        # Numbers of less precision are added up in another order on another processor.
        replay(translator, golden, name=str(directory), least=1.0 if manifest.precision == "float32" else LEAST)
    return translator


def load_encoder(directory: Path, *, threads: int | None = None) -> OnnxEncoder:
    """The encoder that was exported to ONNX into a directory, ready to make vectors of sentences.

    Raises CheckpointError for a file that is missing or damaged, and UsageError for another export or where the package
    is missing.
    """
    from seqloom.engines.onnx import FILE, OnnxEncoder

    manifest, tokenizers = checked(directory), Tokenizers.load(directory / "tokenizers")
    if manifest.engine != "onnx":
        raise UsageError(
            f"{directory} is for {manifest.engine}, and has no encoder alone: seqloom export RUN --to onnx"
        )
    longest = manifest.options().max_source_length
    return OnnxEncoder(directory / FILE, tokenizers.source, longest=longest, threads=threads)


def checked(directory: Path) -> Manifest:
    """What an export says of itself, once all of its files were found to be as they were made."""
    manifest = Manifest.read(directory)
    for name, digest in manifest.files.items():
        try:
            found = _sum(directory / name)
        except OSError as error:
            raise CheckpointError(f"{directory} is damaged: {name}: {error.strerror}") from error
        if found != digest:
            raise CheckpointError(f"{directory} is damaged: {name} doesn't have the SHA-256 of its manifest")
    return manifest


def _sum(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _engine(directory: Path, manifest: Manifest, tokenizers: Tokenizers, device: str) -> Engine:
    if manifest.engine == "onnx":
        raise UsageError(f"{directory} has an encoder alone, which can't translate: seqloom.bundles.load_encoder")
    if manifest.engine != "ctranslate2":
        raise UsageError(f"{directory} is for the engine {manifest.engine}, which this version of Seqloom doesn't have")
    from seqloom.engines.ctranslate2 import CTranslate2Engine, Exported

    exported = Exported(directory=directory, fingerprint=manifest.fingerprint(), **manifest.model)
    return CTranslate2Engine(exported, tokenizers, device=device)
