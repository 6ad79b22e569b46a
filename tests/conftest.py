"""What every test stands on: one thread, no colours, a cache of its own, and real data only where it was asked for."""

from __future__ import annotations

import base64
import hashlib
import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

try:
    import torch
except ImportError:  # the tests of the set-up run without it
    pass
else:
    torch.set_num_threads(1)

REPOSITORY = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("SEQLOOM_DATA") or REPOSITORY.parent / "shared" / "data")

# Before anything makes a console, so that what a test compares is plain text, on a terminal and in CI alike.
os.environ.update(NO_COLOR="1", TERM="dumb", OMP_NUM_THREADS="1")
for forced in ("FORCE_COLOR", "PY_COLORS", "GITHUB_ACTIONS"):
    os.environ.pop(forced, None)

# Two cores shared by many say nothing about the time that one example takes.  A change is judged by the same examples
# as the one before it; `make check-long` looks for others.
settings.register_profile("seqloom", deadline=None, max_examples=50, derandomize="SEQLOOM_EXPLORE" not in os.environ)
settings.load_profile("seqloom")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip the long tests by name, unless they were asked for."""
    if "long" in config.getoption("markexpr"):
        return
    for item in items:
        if item.get_closest_marker("long"):
            item.add_marker(pytest.mark.skip(reason="takes minutes; `make check-long` runs it"))


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keep what tests prepare out of the user's cache."""
    cache = tmp_path_factory.mktemp("cache")
    os.environ["SEQLOOM_CACHE"] = str(cache)
    return cache


@pytest.fixture
def seqloom_data(request: pytest.FixtureRequest) -> Path:
    """The folder of real data sets.  Skips the test if a set named in its `data` marker isn't there."""
    marker = request.node.get_closest_marker("data")
    for name in marker.args if marker else (".",):
        if not (DATA / name).exists():
            what = f"the data set {name}" if name != "." else "real data"
            pytest.skip(f"{what} is not there; set SEQLOOM_DATA to the folder that holds it")
    return DATA


TOY = """\
data:
  train: {source: train.source, target: train.target}
  valid: {source: valid.source, target: valid.target}
tokenizer: {class: Words, joint: true}
model:
  class: EncoderDecoder
  embedding: {size: 16}
  encoder: {class: RNNEncoder, size: 16}
  decoder: {class: RNNDecoder, size: 16, attention: {class: AdditiveAttention, size: 16}}
train:
  steps: 30
  batch_tokens: 128
  schedule: {class: Constant, peak: 0.01}
  precision: float32
  device: cpu
  log_every: 5
  checkpoint_every: 10
  validate_every: 10
search: {beam_size: 3}
"""


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with letters to be reversed, for training and for validation, and toy.yml; to be read, not changed."""
    folder, draw = tmp_path_factory.mktemp("toy"), random.Random(1)
    for name, count in (("train", 200), ("valid", 20)):
        lines = [[draw.choice("abcdefghij") for _ in range(draw.randint(2, 8))] for _ in range(count)]
        (folder / f"{name}.source").write_text("".join(f"{' '.join(line)}\n" for line in lines))
        (folder / f"{name}.target").write_text("".join(f"{' '.join(reversed(line))}\n" for line in lines))
    (folder / "toy.yml").write_text(TOY)
    return folder


@pytest.fixture
def only() -> Callable[[str, str], str]:
    """The policy under which this script and this style, and nothing else, may be used."""

    def digest(content: str) -> str:
        return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()

    return lambda script, style: (
        f"default-src 'none'; script-src '{digest(script)}'; style-src '{digest(style)}'; "
        "base-uri 'none'; form-action 'none'"
    )
