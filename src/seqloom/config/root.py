"""The root of the YAML file: its sections, and what they become."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import seqloom.attention
import seqloom.decoders
import seqloom.encoders  # noqa: F401 - importing a class makes its name known
from seqloom.config import build, read
from seqloom.data.corpora import DataOptions
from seqloom.hooks import Hook
from seqloom.models import Model
from seqloom.search import SearchOptions
from seqloom.tasks import Setting, Task, TranslationTask
from seqloom.tasks.base import TokenizerPair
from seqloom.tokenizers import SentencePiece, Tokenizer
from seqloom.train import TrainOptions


@dataclass(frozen=True, kw_only=True)
class Config:
    """A whole experiment: every section is a constructor's arguments."""

    data: DataOptions
    model: Callable[..., Model]
    tokenizer: Callable[..., Tokenizer] | TokenizerPair = SentencePiece
    task: Callable[..., Task] = TranslationTask
    train: TrainOptions = TrainOptions()
    search: SearchOptions = SearchOptions()
    hooks: tuple[Callable[..., Hook], ...] = ()
    seed: int = 1

    def make_task(self) -> Task:
        """The task, given the sections that concern it."""
        return self.task(
            setting=Setting(
                data=self.data,
                tokenizer=self.tokenizer,
                search=self.search,
                batch_tokens=self.train.most_tokens,
                batch_sentences=self.train.batch_sentences,
                label_smoothing=self.train.label_smoothing,
                seed=self.seed,
            )
        )


def read_config(path: Path, overrides: Sequence[str] = ()) -> Config:
    """The configuration in a YAML file, changed by `key=value`.  ConfigError says everything that is wrong in it."""
    return build(Config, read(path, overrides))
