"""A MarianMT model of transformers translates here as it does there."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import foreign
import pytest
import safetensors.torch
import torch
from torch.testing import assert_close

from seqloom.compat.marian_hf import read
from seqloom.errors import DataError, UsageError
from seqloom.search import SearchOptions
from seqloom.vocabulary import EOS, SPECIALS

pytestmark = pytest.mark.filterwarnings("ignore:Recommended")
transformers = pytest.importorskip("transformers", reason="transformers is not there: pip install 'seqloom[dev]'")
TEXTS = foreign.sentences()


def listed(pieces: list[str], *more: str) -> list[str]:
    """An order of symbols that is not the SentencePiece model's."""
    return ["</s>", "<unk>", *sorted({*pieces} - {*SPECIALS}), *more, "<pad>"]


def made(directory: Path, *, separate: bool = False, **options: Any) -> tuple[Any, Any]:
    """A model with random weights and its tokenizer, written by transformers."""
    directory.mkdir(parents=True, exist_ok=True)
    model = foreign.sentencepiece_model()
    for side in ("source", "target"):
        (directory / f"{side}.spm").write_bytes(model)
    sides = {"vocab": listed(foreign.pieces_of(model), ">>de<<")}
    if separate:
        sides["target_vocab"] = listed(foreign.pieces_of(model)[::2])
    for name, symbols in sides.items():
        (directory / f"{name}.json").write_text(json.dumps({symbol: i for i, symbol in enumerate(symbols)}))
    target = list(sides.values())[-1]
    config = transformers.MarianConfig(
        vocab_size=len(sides["vocab"]),
        decoder_vocab_size=len(target),
        **SMALL | options,
        pad_token_id=len(target) - 1,
        decoder_start_token_id=len(target) - 1,
        eos_token_id=0,
        forced_eos_token_id=0,
    )
    network = transformers.MarianMTModel(config).eval()
    foreign.randomize(network)
    network.final_logits_bias.normal_(generator=torch.Generator().manual_seed(2))
    network.generation_config.bad_words_ids = [[len(target) - 1]]
    network.generation_config.num_beams = 3
    network.save_pretrained(directory)
    more = {"target_vocab_file": str(directory / "target_vocab.json"), "separate_vocabs": True} if separate else {}
    paths = [str(directory / name) for name in ("source.spm", "target.spm", "vocab.json")]
    return network, transformers.MarianTokenizer(*paths, **more)


def teach(network: Any, tokenizer: Any) -> None:
    """Let it learn a little of repeating a text, so that what it says depends on the source, and ends."""
    batch = tokenizer(TEXTS, text_target=TEXTS, return_tensors="pt", padding=True)
    batch["labels"][batch["labels"] == tokenizer.pad_token_id] = -100
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    for _ in range(70):
        network(**batch).loss.backward()
        optimizer.step()
        optimizer.zero_grad()


SMALL = {
    "d_model": 16,
    "encoder_layers": 2,
    "decoder_layers": 1,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 24,
    "decoder_ffn_dim": 20,
    "activation_function": "swish",
    "scale_embedding": True,
    "max_position_embeddings": 64,
}
VARIANTS: dict[str, dict[str, Any]] = {
    "all tied": {},
    "unscaled": {"scale_embedding": False, "activation_function": "relu"},
    "separate": {"separate": True, "share_encoder_decoder_embeddings": False},
    "sides": {"tie_word_embeddings": False, "activation_function": "gelu"},
}


@pytest.fixture(scope="module", params=VARIANTS)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, Any, Path]]:
    directory = tmp_path_factory.mktemp("models") / "marian"
    yield *made(directory, **VARIANTS[request.param]), directory


@torch.inference_mode()
def test_logits_are_equal(model: tuple[Any, Any, Path], tmp_path: Path) -> None:
    network, tokenizer, directory = model
    ours = foreign.adopted(read(directory, pickle_allowed=False), tmp_path / "run")
    batch = tokenizer(TEXTS, return_tensors="pt", padding=True)
    sources = ours.tokenizers.source.encode(TEXTS)
    symbols = {i: symbol for symbol, i in tokenizer.encoder.items()}
    names = [[symbols[i] for i in row if i != tokenizer.pad_token_id][:-1] for row in batch.input_ids.tolist()]
    assert [ours.tokenizers.source.tokens(ids) for ids in sources] == names

    known = ours.tokenizers.target.vocabulary.symbols
    places = [{"<s>": "<pad>"}.get(symbol, symbol) for symbol in known]
    theirs = [tokenizer.encoder[s] if not tokenizer.separate_vocabs else tokenizer.target_encoder[s] for s in places]
    targets = torch.randint(EOS, len(known), (len(TEXTS), 7), generator=torch.Generator().manual_seed(3))
    starts = torch.full((len(TEXTS), 1), network.config.decoder_start_token_id)
    begun = torch.cat([starts, torch.tensor(theirs)[targets]], 1)
    expected = deepcopy(network).double()(**batch, decoder_input_ids=begun).logits[..., theirs]
    assert_close(foreign.logits(ours, sources, targets), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["all tied", pytest.param("separate", marks=pytest.mark.long)])
def test_greedy_and_beam_search_find_the_same_with_the_same_scores(name: str, tmp_path: Path) -> None:
    network, tokenizer = made(tmp_path / "theirs", **VARIANTS[name])
    teach(network, tokenizer)
    network.save_pretrained(tmp_path / "theirs")
    ours = foreign.adopted(read(tmp_path / "theirs", pickle_allowed=False), tmp_path / "run")
    assert (ours.options.beam_size, ours.options.unknown) == (3, "show")
    batch = tokenizer(TEXTS, return_tensors="pt", padding=True)
    silent = (network.config.eos_token_id, network.config.pad_token_id)
    symbols = {i: symbol for i, symbol in tokenizer.decoder.items() if i not in silent}
    for beam in (1, 4):
        options = SearchOptions(beam_size=beam, length_penalty=0.0, patience=math.inf, unknown="show", max_length=20)
        found = ours.translate(TEXTS, options)
        asked = {"num_beams": beam, "max_new_tokens": 20, "length_penalty": 0.0, "early_stopping": "never"}
        said = network.generate(**batch, **asked, output_scores=True, return_dict_in_generate=True)  # no gradient there
        texts = [[symbols[i] for i in row[1:] if i in symbols] for row in said.sequences.tolist()]
        # At the limit their end has no cost, which changes what is best there.
        ended = (said.sequences[:, 1:20] == network.config.eos_token_id).any(1)
        assert ended.sum() > 30 and len({one.text for one in found}) > 8
        differ = [one.alternatives[0].tokens != text for one, text in zip(found, texts, strict=True)]
        assert not (torch.tensor(differ) & ended).any()
        if beam > 1:
            scores = torch.tensor([one.score for one in found])
            assert_close(scores[ended], said.sequences_scores[ended], atol=1e-4, rtol=1e-4)


def test_a_language_before_the_text_is_a_symbol(tmp_path: Path) -> None:
    _, tokenizer = made(tmp_path / "theirs")
    ours = foreign.adopted(read(tmp_path / "theirs", pickle_allowed=False), tmp_path / "run")
    for text in (">>de<< the dog", ">>de<<the dog"):
        ids = ours.tokenizers.source.encode([text])[0]
        assert ours.tokenizers.source.tokens(ids) == tokenizer.convert_ids_to_tokens(tokenizer(text).input_ids[:-1])
    assert ours.translate(["the dog"], tag=">>de<<")[0].text == ours.translate([">>de<< the dog"])[0].text


def test_pickled_weights_are_read_only_when_that_is_allowed(tmp_path: Path) -> None:
    network, _ = made(tmp_path / "theirs")
    expected = read(tmp_path / "theirs", pickle_allowed=False)
    (tmp_path / "theirs" / "model.safetensors").unlink()
    path = tmp_path / "theirs" / "pytorch_model.bin"
    with pytest.raises(
        DataError, match="there are no weights; they would be in model.safetensors or pytorch_model.bin"
    ):
        read(tmp_path / "theirs", pickle_allowed=True)
    torch.save(network.state_dict(), path)  # noqa: TID251 - as transformers did
    with pytest.raises(UsageError, match="say --allow-pickle"):
        read(tmp_path / "theirs", pickle_allowed=False)
    found = read(tmp_path / "theirs", pickle_allowed=True)
    assert found.model == expected.model
    assert all(torch.equal(found.weights[name], weight) for name, weight in expected.weights.items())


def test_positions_that_are_no_sinusoids_are_kept(tmp_path: Path) -> None:
    network, tokenizer = made(tmp_path / "theirs")
    table = torch.randn(64, 16, generator=torch.Generator().manual_seed(1))
    state = {**network.state_dict(), "model.encoder.embed_positions.weight": table}
    state = {name: x.clone() for name, x in state.items()}  # shared ones apart, as safetensors wants them
    safetensors.torch.save_file(state, tmp_path / "theirs" / "model.safetensors")
    found = read(tmp_path / "theirs", pickle_allowed=False)
    assert found.model["encoder"]["positions"] == {"class": "LearnedPositions", "max_positions": 64}
    assert found.model["decoder"]["positions"] == "SinusoidalPositions"
    foreign.adopted(found, tmp_path / "run")


@pytest.mark.parametrize(
    ("changes", "error", "sentence"),
    [
        ({"model_type": "bart"}, UsageError, 'model_type is "bart", which Seqloom can\'t express; it knows "marian"'),
        ({"activation_function": "tanh"}, UsageError, 'activation_function is "tanh", which Seqloom can\'t express'),
        ({"d_model": None}, DataError, "d_model is missing"),
        ({"decoder_layers": 2}, DataError, "the weight model.decoder.layers.1.self_attn.q_proj.weight is missing"),
        ({"encoder_layers": 1}, UsageError, "it has weights that no model of Seqloom has a place for: model.encoder"),
        ({"vocab_size": 5}, DataError, "vocab.json: its numbers are not those of 5 symbols"),
    ],
)
def test_what_can_not_be_expressed_is_said(
    all_tied: Path, tmp_path: Path, changes: dict[str, Any], error: type[Exception], sentence: str
) -> None:
    directory = shutil.copytree(all_tied, tmp_path / "theirs")
    config = json.loads((directory / "config.json").read_text())
    (directory / "config.json").write_text(json.dumps(config | changes))
    with pytest.raises(error) as caught:
        read(directory, pickle_allowed=False)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.fixture(scope="module")
def all_tied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("models") / "tied"
    made(directory)
    return directory
