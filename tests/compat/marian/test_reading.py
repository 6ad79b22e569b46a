"""A Transformer of Marian translates here as CTranslate2, which has a reader of its own, runs it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import foreign
import numpy as np
import pytest
import torch
from marian_files import POST, PRE, SIZE, SSRU, write
from torch.testing import assert_close

from seqloom.compat.marian import read
from seqloom.compat.marian.vocabularies import listed_in
from seqloom.errors import DataError, UsageError
from seqloom.layers.positions import sinusoids
from seqloom.vocabulary import BOS


@pytest.mark.parametrize("style", [POST, PRE], ids=["post", "pre"])
def test_ctranslate2_says_the_same(style: dict[str, Any], tmp_path: Path) -> None:
    ctranslate2 = pytest.importorskip("ctranslate2", reason="ctranslate2 is not there: pip install 'seqloom[fast]'")
    pytest.importorskip("yaml", reason="CTranslate2's converter wants PyYAML")
    from ctranslate2.converters import MarianConverter

    ours = foreign.adopted(read(write(tmp_path / "marian", **style), pickle_allowed=False), tmp_path / "run")
    # CTranslate2 makes other sinusoids than Marian, so that it must be told.
    table = sinusoids(0, 64, SIZE, torch.device("cpu"), inclusive=True).numpy()
    write(tmp_path / "told", **style, more={"Wpos": table})
    MarianConverter(str(tmp_path / "told" / "model.npz"), [str(tmp_path / "told" / "vocab.yml")]).convert(
        str(tmp_path / "ct2")
    )
    engine = ctranslate2.Translator(str(tmp_path / "ct2"), intra_threads=1)

    texts = foreign.sentences()
    vocabularies = ours.tokenizers.source.vocabulary, ours.tokenizers.target.vocabulary
    sources = [vocabularies[0].lookup(ids) for ids in ours.tokenizers.source.encode(texts)]
    found = ours.translate(texts, beam_one(ours))
    said = engine.translate_batch(sources, beam_size=1, max_decoding_length=14, max_batch_size=16)
    last = 14  # where ours must end and theirs must not
    assert [one.alternatives[0].tokens[:last] for one in found] == [one.hypotheses[0] for one in said]
    assert len({tuple(one.hypotheses[0]) for one in said}) > 4

    targets = torch.randint(3, len(vocabularies[1]), (len(texts), 6), generator=torch.Generator().manual_seed(1))
    told = engine.score_batch(sources, [vocabularies[1].lookup(row) for row in targets.tolist()])
    log_probs = foreign.logits(ours, ours.tokenizers.source.encode(texts), targets).log_softmax(-1)
    each = log_probs[:, :-1].gather(2, targets[..., None])[..., 0]
    assert_close(each.float(), torch.tensor([one.log_probs[:6] for one in told]), atol=1e-4, rtol=0)


def beam_one(ours: Any) -> Any:
    from dataclasses import replace

    return replace(ours.options, beam_size=1, unknown="show", max_length=15)


def test_targets_begin_with_a_zero_that_is_never_written(tmp_path: Path) -> None:
    found = read(write(tmp_path / "marian"), pickle_allowed=False)
    ours = foreign.adopted(found, tmp_path / "run")
    assert found.weights["encoder.embedding.table.weight"][BOS].abs().max() == 0
    logits = foreign.logits(ours, [[5, 6, 7]], torch.tensor([[8, 9]]))
    assert logits.softmax(-1)[..., BOS].max() < 1e-30
    assert (found.model["embedding"]["tie"], ours.tokenizers.joint) == ("all", True)
    assert ours.options.unknown == "never"


def test_a_decoder_with_a_recurrence_is_ours(tmp_path: Path) -> None:
    directory = write(tmp_path / "marian", **SSRU, dec_depth=2)
    found = read(directory, pickle_allowed=False)
    theirs = np.load(directory / "model.npz")
    for layer in (0, 1):
        name = f"decoder.layers.{layer}.self_attention"
        assert_close(found.weights[f"{name}.forget.weight"], torch.from_numpy(theirs[f"decoder_l{layer + 1}_rnn_Wf"]).T)
        assert_close(
            found.weights[f"{name}.candidate.weight"], torch.from_numpy(theirs[f"decoder_l{layer + 1}_rnn_W"]).T
        )
        assert_close(
            found.weights[f"{name}.forget.bias"][None], torch.from_numpy(theirs[f"decoder_l{layer + 1}_rnn_bf"])
        )
    assert len(foreign.adopted(found, tmp_path / "run").translate(["the dog"])) == 1


def test_a_model_may_have_a_sentencepiece_vocabulary_and_a_decoder_yml(tmp_path: Path) -> None:
    directory = write(tmp_path / "marian", vocabulary="vocab.xxyy.spm")
    said = {"models": ["model.npz"], "vocabs": ["vocab.xxyy.spm", "vocab.xxyy.spm"], "beam-size": 6, "normalize": 0.5}
    (directory / "decoder.yml").write_text(json.dumps(said))
    ours = foreign.adopted(read(directory / "model.npz", pickle_allowed=False), tmp_path / "run")
    options = ours.options
    assert (options.beam_size, options.length_penalty_kind, options.length_penalty) == (6, "average", 0.5)
    processor = listed_in(directory / "vocab.xxyy.spm")[0]
    text = foreign.sentences()[0]
    ids = ours.tokenizers.source.encode([text])[0]
    assert ours.tokenizers.target.decode(ids).replace("⁇", "") == text.replace("Qx", "") or "Q" in text
    assert {*ours.tokenizers.source.vocabulary.symbols} >= {*processor} - {"<s>", "</s>", "<unk>"}


@pytest.mark.parametrize(
    ("options", "more", "error", "sentence"),
    [
        ({"type": "s2s"}, {}, UsageError, 'type is "s2s", which Seqloom can\'t express; it knows "transformer"'),
        (
            {"transformer-ffn-depth": 3},
            {},
            UsageError,
            "transformer-ffn-depth is 3, which Seqloom can't express; it knows 2",
        ),
        ({"transformer-ffn-activation": "gelu"}, {}, UsageError, 'transformer-ffn-activation is "gelu", which'),
        (
            {"transformer-postprocess": "hn"},
            {},
            UsageError,
            'transformer-postprocess is "hn", which Seqloom can\'t express',
        ),
        ({"transformer-tied-layers": [1, 1]}, {}, UsageError, "transformer-tied-layers is [1, 1], which Seqloom can't"),
        ({"enc-depth": 3}, {}, DataError, "the weight encoder_l3_self.q.weight is missing"),
        ({}, {"ulr_extra": np.zeros(2)}, UsageError, "weights that no model of Seqloom has a place for: ulr_extra"),
    ],
)
def test_what_can_not_be_expressed_is_said(
    options: dict[str, Any], more: dict[str, Any], error: type[Exception], sentence: str, tmp_path: Path
) -> None:
    write(tmp_path / "marian", more=more, **options)
    with pytest.raises(error) as caught:
        read(tmp_path / "marian", pickle_allowed=False)
    assert sentence in str(caught.value) and "\n" not in str(caught.value)


def test_damaged_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "no.npz").write_bytes(b"PK\x03\x04")
    np.savez(tmp_path / "other.npz", x=np.zeros(2))
    for name, sentence in (
        ("no", "this is damaged, or no .npz"),
        ("other", "this is no model of Marian: it has no special"),
    ):
        with pytest.raises(DataError, match=sentence):
            read(tmp_path / f"{name}.npz", pickle_allowed=False)


@pytest.mark.parametrize(
    ("text", "listed"),
    [
        ("</s>: 0\n<unk>: 1\n\"a: b\": 2\n'it''s': 3\n", ["</s>", "<unk>", "a: b", "it's"]),
        ('"</s>": 0\n"<unk>": 1\n"\\u2581x": 2\n"\\"": 3\n"\\xAD": 4\n', ["</s>", "<unk>", "▁x", '"', "\xad"]),
        ('</s>: 0\r\n? "long"\r\n: 2\r\n<unk>: 1\r\n', ["</s>", "<unk>", "long"]),
    ],
)
def test_a_vocabulary_of_yaml_is_read(text: str, listed: list[str], tmp_path: Path) -> None:
    (tmp_path / "vocab.yml").write_text(text, "utf-8", newline="")
    assert listed_in(tmp_path / "vocab.yml") == (listed, listed.index("</s>"), listed.index("<unk>"))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("</s>: 0\nno number\n", "vocab.yml:2: this is no symbol with a number"),
        ("</s>: 0\n<unk>: 2\n", "vocab.yml: its numbers don't go from 0 on without a gap"),
        ("</s>: 0\na: 1\n", "vocab.yml: </s> or <unk> is missing"),
        ('</s>: 0\n"\\q": 1\n', "vocab.yml:2: this is no symbol in quotes"),
    ],
)
def test_a_damaged_vocabulary_is_named(text: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "vocab.yml").write_text(text)
    with pytest.raises(DataError) as caught:
        listed_in(tmp_path / "vocab.yml")
    assert str(caught.value).endswith(sentence)
