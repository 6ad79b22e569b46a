"""docs/configuration.md names every class and every key there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from seqloom.attention import Attention, Compatibility, Distribution
from seqloom.config.root import Config
from seqloom.config.spec import parameters
from seqloom.data.corpora import CorpusOptions, DataOptions
from seqloom.data.filters import Filter
from seqloom.data.noise import Noise
from seqloom.decoders import Decoder
from seqloom.encoders import Encoder, ImageEncoder
from seqloom.hooks import Hook
from seqloom.layers.feedforward import FeedForward
from seqloom.layers.positions import PositionEncoding
from seqloom.metrics import Metric
from seqloom.models import Model
from seqloom.optim import Optimizer, Schedule
from seqloom.registry import known
from seqloom.search import SearchOptions
from seqloom.tasks import Task
from seqloom.tokenizers import Tokenizer
from seqloom.train import TrainOptions

PAGE = (Path(__file__).parent.parent / "docs" / "configuration.md").read_text("utf8")
BASES = (Attention, Compatibility, Distribution, Decoder, Encoder, FeedForward, ImageEncoder, Model)
BASES += (Filter, Noise, PositionEncoding, Hook, Metric, Optimizer, Schedule, Task, Tokenizer)
CLASSES = [cls for base in BASES for cls in known(base) if cls.__module__.startswith("seqloom.")]  # type: ignore[type-abstract]
SECTIONS = [Config, CorpusOptions, DataOptions, SearchOptions, TrainOptions]


@pytest.mark.parametrize("cls", [*CLASSES, *SECTIONS], ids=lambda cls: cls.__name__)
def test_the_page_names_every_key(cls: type) -> None:
    said = set(re.findall(r"`(\w+)`", PAGE)) | set(re.findall(r"^## (\w+)", PAGE, re.M))
    assert {name for name in parameters(cls) if name not in said} == set()


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_the_page_names_every_class(cls: type) -> None:
    assert f"`{cls.__name__}`" in PAGE
