"""What every tokenizer can do, and how one is kept in a directory."""

from __future__ import annotations

import hashlib
import inspect
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal

from seqloom.errors import CheckpointError, UsageError
from seqloom.registry import known, resolve
from seqloom.vocabulary import BOS, EOS, UNK, Vocabulary

FORMAT = 2  # 1 had a symbol for padding
UNKNOWN_TEXT = "⁇"  # what an unknown symbol looks like in decoded text
SILENT = frozenset((BOS, EOS))  # ids that stand for no text
# What a symbol has to do with words: it begins one, or goes on with the one before; "opens" is one whose word the next
# symbol goes on with, too; a blank stands between words, and what is apart is none of the text's words.
Role = Literal["begins", "continues", "opens", "blank", "apart"]


class Tokenizer(ABC):
    """How text becomes ids and ids become text.

    The constructor takes what a YAML file may say, as keywords, and keeps each in an attribute of the same name.
    `joint`: one tokenizer, trained on both sides, is to serve both.
    """

    joint: bool
    of_files: ClassVar[bool] = False  # whether a text is the path of a file, whose content becomes the ids
    tags: tuple[str, ...] = ()  # what a text may begin with to say what is wanted of it; see `Tagged`
    unwritten: tuple[str, ...] = ()  # symbols that are never generated, beside bos and tags
    _vocabulary: Vocabulary | None = None

    @property
    def vocabulary(self) -> Vocabulary:
        """The symbols and their ids.  Raises ValueError before `train` or `load`."""
        if self._vocabulary is None:
            raise ValueError(f"this {type(self).__name__} has not been trained yet")
        return self._vocabulary

    @property
    def length(self) -> int | None:
        """How many ids every text becomes, where that is always the same; such a text is never too long."""
        return None

    @abstractmethod
    def train(self, lines: Iterable[str]) -> None:
        """Learn the vocabulary from text.  Raises DataError if there is no text."""

    @abstractmethod
    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text, without bos and eos.

        Takes any string and never fails, but for a tokenizer `of_files` or of texts that are made in a certain way,
        which raises UnreadableError.
        """

    @abstractmethod
    def decode(self, ids: Sequence[int]) -> str:
        """The text that these ids stand for; bos and eos are left out and an unknown symbol is shown as ⁇."""

    def filled(self, ids: Sequence[int], copies: Sequence[str]) -> str:
        """`decode`, with copies[n] in the place of the n-th unknown symbol."""
        first, *rest = self.decode(ids).split(UNKNOWN_TEXT)
        unknown = (place for place, i in enumerate(ids) if i == UNK)
        signs = (self.decode(ids[:place]).count(UNKNOWN_TEXT) for place in unknown)  # a text may contain ⁇ itself
        found = dict(zip(signs, copies, strict=True))
        return first + "".join(found.get(sign, UNKNOWN_TEXT) + text for sign, text in enumerate(rest))

    def written(self, text: str) -> list[str]:
        """What each of the ids that `encode` gives a text stands for in it, unknown symbols as they were written."""
        return self.tokens(self.encode([text])[0])

    def spellings(self, phrase: str) -> list[list[int]]:
        """The ways to write a phrase of whole words that a model may choose from, as far as this tokenizer knows them.

        None where the phrase has symbols that are not in the vocabulary.
        """
        (ids,) = self.encode([phrase])
        return [ids] if ids and UNK not in ids else []

    def restore(self, text: str) -> str:
        """A text as `decode` would give it, so that both can be compared: without the marks of a segmentation."""
        return text

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that `train` reads, beside the lines it is given."""
        return ()

    def role(self, symbol: str) -> Role:
        """What a symbol of the vocabulary has to do with the words of a text."""
        return "begins"

    def sampled(self, rows: Sequence[Sequence[int]], *, share: float, keys: Sequence[int]) -> list[list[int]]:
        """These ids of texts as other ids of the same texts, drawn at random; what is drawn follows from a text's key.

        Raises UsageError if a text has only one way to be cut.
        """
        raise UsageError(f"subword_sampling is for SentencePiece; {type(self).__name__} cuts a text in one way only")

    def tokens(self, ids: Sequence[int]) -> list[str]:
        """A readable piece for each id, for pictures and tables."""
        return self.vocabulary.lookup(ids)

    def described(self) -> dict[str, Any]:
        """The class and parameters, without what was learnt."""
        cls = type(self)
        name = cls.__name__ if cls in _registered() else f"{cls.__module__}.{cls.__qualname__}"
        parameters = {parameter: getattr(self, parameter) for parameter in inspect.signature(cls).parameters}
        return {"class": name, "parameters": {key: _plain(value) for key, value in parameters.items()}}

    @abstractmethod
    def dump(self) -> bytes:
        """What was learnt, so that `load` can restore it."""

    @abstractmethod
    def load(self, data: bytes) -> None:
        """Restore what `dump` returned.  Raises ValueError if `data` are something else."""


def describe(tokenizer: Tokenizer) -> dict[str, Any]:
    """The class and parameters of a tokenizer, without what it has learnt."""
    return tokenizer.described()


def _plain(value: Any) -> Any:
    """A parameter as JSON can hold it."""
    if isinstance(value, Tokenizer):
        return value.described()
    return str(value) if isinstance(value, Path) else value


def _registered() -> list[type[Tokenizer]]:
    return known(Tokenizer)  # type: ignore[type-abstract]


def fingerprint(tokenizer: Tokenizer) -> str:
    """A SHA-256 that two tokenizers share only if they give every text the same ids."""
    description = json.dumps(describe(tokenizer), sort_keys=True).encode()
    return hashlib.sha256(description + b"\0" + tokenizer.dump()).hexdigest()


def save(tokenizer: Tokenizer, directory: Path, name: str) -> None:
    """Write NAME.json, which says what the tokenizer is, and NAME.model, what it has learnt."""
    data = tokenizer.dump()
    header = {"format": FORMAT, **describe(tokenizer), "sha256": hashlib.sha256(data).hexdigest()}
    directory.mkdir(parents=True, exist_ok=True)
    _write(directory / f"{name}.model", data)
    _write(directory / f"{name}.json", (json.dumps(header, indent=2) + "\n").encode())


def load(directory: Path, name: str) -> Tokenizer:
    """Read what `save` wrote.  Raises CheckpointError if a file is missing, damaged or of a later version."""
    path = directory / f"{name}.json"
    tokenizer, digest = _from_header(path, _read(path))
    data = _read(path.with_suffix(".model"))
    if hashlib.sha256(data).hexdigest() != digest:
        raise CheckpointError(f"{path.with_suffix('.model')} is damaged: its SHA-256 is not the one in {path.name}")
    try:
        tokenizer.load(data)
    except ValueError as error:
        raise CheckpointError(f"{path.with_suffix('.model')} is damaged: {error}") from error
    return tokenizer


def _from_header(path: Path, data: bytes) -> tuple[Tokenizer, str]:
    """The untrained tokenizer that a header names, and the SHA-256 of what it has learnt."""
    from seqloom.tokenizers.tagged import Tagged  # which is a Tokenizer itself

    try:
        header = json.loads(data)
        if header["format"] != FORMAT:
            raise CheckpointError(f"{path} has format {header['format']}; this version of Seqloom reads {FORMAT}")
        tokenizer = _made(header)
        return (Tagged(tokenizer, header["tags"]) if "tags" in header else tokenizer), header["sha256"]
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path} is damaged: it does not describe a tokenizer") from error
    except LookupError as error:
        raise CheckpointError(f"{path}: {error}") from error


def _made(described: Mapping[str, Any]) -> Tokenizer:
    """What `Tokenizer.described` described, untrained."""
    cls: Any = resolve(described["class"], Tokenizer)
    parameters = {
        key: partial(_made, value) if isinstance(value, dict) else value
        for key, value in described["parameters"].items()
    }
    return cls(**parameters)  # type: ignore[no-any-return]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise CheckpointError(f"{path}: no such file") from error
    except OSError as error:
        raise CheckpointError(f"{path}: {error.strerror}") from error


def _write(path: Path, data: bytes) -> None:
    """Replace a file in one step, so that no reader ever sees half of it."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.write_bytes(data)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


@dataclass(frozen=True)
class Tokenizers:
    """The tokenizers of a model's two sides; the same object twice where they share one vocabulary."""

    source: Tokenizer
    target: Tokenizer

    @property
    def joint(self) -> bool:
        """Whether both sides share one vocabulary, though each may cut text in its own way."""
        source, target = self.source, self.target
        same = source.joint and target.joint and source.vocabulary.symbols == target.vocabulary.symbols
        return source is target or same

    def save(self, directory: Path) -> None:
        """Write both into a directory; a shared one is written once."""
        if self.source is self.target:
            save(self.source, directory, "joint")
        else:
            save(self.source, directory, "source")
            save(self.target, directory, "target")

    @classmethod
    def load(cls, directory: Path) -> Tokenizers:
        """Read what `save` wrote.  Raises CheckpointError as `load` does."""
        if (directory / "joint.json").exists():
            shared = load(directory, "joint")
            return cls(shared, shared)
        return cls(load(directory, "source"), load(directory, "target"))
