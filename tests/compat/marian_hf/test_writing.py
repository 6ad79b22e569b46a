"""A run that was written for transformers says there what it says here, and is the same when it is read again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import foreign
import pytest
import torch
from torch.testing import assert_close

from seqloom.compat.marian_hf import read, write
from seqloom.errors import UsageError
from seqloom.tokenizers import Words
from seqloom.vocabulary import BOS, EOS

pytestmark = pytest.mark.filterwarnings("ignore:Recommended")
TEXTS = foreign.sentences()
SWISH = {"feedforward": {"class": "PositionWise", "inner_size": 20, "activation": "swish"}, "scale_embedding": False}
OTHER_POSITIONS = {"positions": {"class": "SinusoidalPositions", "layout": "pairs", "first": 2, "inclusive": True}}


@pytest.mark.parametrize(
    ("tie", "part"),
    [("all", {}), ("target", SWISH), ("sides", OTHER_POSITIONS), ("none", {})],
    ids=["all", "target", "sides", "none"],
)
@torch.inference_mode()
def test_transformers_says_what_the_run_says(tie: str, part: dict[str, Any], tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers", reason="transformers is not there: pip install 'seqloom[dev]'")
    ours = foreign.own_run(tmp_path / "run", tie=tie, **part)
    write(tmp_path / "run", tmp_path / "theirs")
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "theirs")
    network = transformers.AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "theirs").double().eval()
    sources = ours.tokenizers.source.encode(TEXTS)
    batch = tokenizer(TEXTS, return_tensors="pt", padding=True)
    assert [[i for i in row if i != BOS] for row in batch.input_ids.tolist()] == [[*row, EOS] for row in sources]

    symbols = len(ours.tokenizers.target.vocabulary)
    targets = torch.randint(EOS, symbols, (len(TEXTS), 6), generator=torch.Generator().manual_seed(3))
    begun = torch.cat([torch.full_like(targets[:, :1], BOS), targets], 1)
    assert_close(
        network(**batch, decoder_input_ids=begun).logits, foreign.logits(ours, sources, targets), atol=1e-5, rtol=0
    )
    assert network.generation_config.bad_words_ids == [[0], [2]]
    assert (network.generation_config.num_beams, network.generation_config.length_penalty) == (3, 0.8)


@pytest.mark.parametrize("tie", ["all", "none"])
def test_what_was_written_is_the_same_when_it_is_read(tie: str, tmp_path: Path) -> None:
    before = foreign.own_run(tmp_path / "run", tie=tie)
    write(tmp_path / "run", tmp_path / "theirs")
    after = foreign.adopted(read(tmp_path / "theirs", pickle_allowed=False), tmp_path / "again")
    sources = before.tokenizers.source.encode(TEXTS)
    assert after.tokenizers.source.encode(TEXTS) == sources
    targets = torch.randint(EOS, 30, (len(TEXTS), 6), generator=torch.Generator().manual_seed(3))
    assert_close(foreign.logits(after, sources, targets), foreign.logits(before, sources, targets), atol=1e-12, rtol=0)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"norm": "pre"}, 'norm is "pre", which transformers\' MarianMT can\'t express; it knows "post"'),
        (
            {"normalization": "rms"},
            'normalization is "rms", which transformers\' MarianMT can\'t express; it knows "layer"',
        ),
        ({"positions": "RotaryPositions"}, "class is \"RotaryPositions\", which transformers' MarianMT can't express"),
        ({"norm_epsilon": 1e-3}, "norm_epsilon is 0.001, which"),
        (
            {"tokenizer": Words(joint=True)},
            "tokenizer is Words, which transformers' MarianMT can't express; it knows SentencePiece",
        ),
    ],
)
def test_what_marian_does_not_have_is_refused(changes: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    foreign.own_run(tmp_path / "run", **changes)
    with pytest.raises(UsageError) as caught:
        write(tmp_path / "run", tmp_path / "theirs")
    assert sentence in str(caught.value) and "config.yml" in str(caught.value)
    assert not (tmp_path / "theirs").exists()


def test_a_directory_that_is_there_is_left_alone(tmp_path: Path) -> None:
    foreign.own_run(tmp_path / "run")
    (tmp_path / "theirs").mkdir()
    with pytest.raises(UsageError, match="theirs is there already; name a directory that isn't"):
        write(tmp_path / "run", tmp_path / "theirs")
