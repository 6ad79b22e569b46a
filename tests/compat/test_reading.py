"""What readers of other toolkits' models take, beyond what the toolkits themselves are asked, and what they refuse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import foreign
import pytest
import records
import torch
from torch.testing import assert_close

from seqloom.compat.cutting import found_beside, segmentation_of
from seqloom.compat.foreign import Foreign
from seqloom.compat.numbering import NEVER, Numbering
from seqloom.compat.readers import guessed, reader
from seqloom.errors import DataError, UsageError
from seqloom.vocabulary import BOS

TOOLKITS = {"fairseq": "fairseq", "joeynmt": "joeynmt", "opennmt": "opennmt-py"}


def changed(said: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """A record with other values at places such as "cfg model arch"; a file's text is replaced in part."""
    for place, value in changes.items():
        *path, last = place.split(" ")
        inner = said
        for key in path:
            inner = inner[key]
        inner[last] = inner[last].replace(*value) if path[:1] == ["files"] and isinstance(value, tuple) else value
    return said


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    def found(name: str, changes: dict[str, Any]) -> Foreign:
        toolkit = TOOLKITS[name.partition("-")[0]]
        path = records.laid_out(toolkit, changed(records.of(name), changes), tmp_path, monkeypatch)
        return reader(toolkit)(path, pickle_allowed=True)

    return found


FAIRSEQ, JOEY, ONMT = "cfg model", "files config.yaml", "opt"


@pytest.mark.parametrize(
    ("name", "changes", "error", "sentence"),
    [
        ("fairseq", {f"{FAIRSEQ} arch": "fconv"}, UsageError, 'arch is "fconv", which Seqloom can\'t express'),
        ("fairseq", {f"{FAIRSEQ} layernorm_embedding": True}, UsageError, "layernorm_embedding is true, which Seqloom"),
        (
            "fairseq",
            {f"{FAIRSEQ} activation_fn": "gelu_fast"},
            UsageError,
            'activation_fn is "gelu_fast", which Seqloom',
        ),
        ("fairseq", {f"{FAIRSEQ} adaptive_softmax_cutoff": [9]}, UsageError, "it knows not set"),
        ("fairseq", {f"{FAIRSEQ} decoder_embed_dim": 8}, UsageError, "decoder_embed_dim is 8, which Seqloom"),
        (
            "fairseq",
            {f"{FAIRSEQ} encoder_layers": 3},
            DataError,
            "the weight encoder.layers.2.self_attn.q_proj.weight is",
        ),
        (
            "fairseq",
            {f"{FAIRSEQ} encoder_normalize_before": True},
            UsageError,
            "decoder_normalize_before is false, which",
        ),
        (
            "fairseq",
            {"files dict.yy.txt": ("w1 1\n", "w1 1\nw99 1\n")},
            DataError,
            "its dictionaries are not those of model.pt",
        ),
        ("fairseq", {"files dict.yy.txt": ("w1 1\n", "w1\n")}, DataError, "a symbol and a count in each line"),
        ("fairseq", {"cfg": {}}, DataError, "this is no checkpoint of fairseq: it has no options of a model"),
        ("joeynmt", {JOEY: ('"word"', '"bpe"')}, DataError, "model_file is missing"),
        ("joeynmt", {JOEY: ('"activation"', '"alpha": 2.0, "activation"')}, None, ""),
        (
            "joeynmt",
            {JOEY: ('"num_heads": 4', '"num_heads": 4, "alpha": 2.0')},
            UsageError,
            "alpha is 2.0, which Seqloom",
        ),
        (
            "joeynmt",
            {JOEY: ('"decoder": {"type": "transformer"', '"decoder": {"type": "recurrent"')},
            UsageError,
            'type is "recurrent"',
        ),
        ("joeynmt", {"files src_vocab.txt": ("<pad>", "pad")}, DataError, "the special symbol <pad> is missing"),
        ("joeynmt", {JOEY: ('"testing": {', '"testing": [], "other": {')}, DataError, "testing is no section"),
        (
            "joeynmt-gru",
            {JOEY: ('"rnn_type": "gru"', '"rnn_type": "sru"')},
            UsageError,
            'rnn_type is "sru", which Seqloom',
        ),
        ("opennmt", {f"{ONMT} max_relative_positions": -1}, UsageError, "max_relative_positions is -1, which Seqloom"),
        ("opennmt", {f"{ONMT} pos_ffn_activation_fn": "silu"}, UsageError, 'pos_ffn_activation_fn is "silu", which'),
        ("opennmt", {f"{ONMT} encoder_type": "cnn"}, UsageError, 'encoder_type is "cnn", which Seqloom can\'t express'),
        ("opennmt", {f"{ONMT} copy_attn": True}, UsageError, "copy_attn is true, which Seqloom can't express"),
        ("opennmt", {"vocab src_feats": [["x"]]}, UsageError, "it has features of source words"),
        ("opennmt", {"vocab tgt": ["a", "b"]}, DataError, "the special symbols of its tgt vocabulary are missing"),
        ("opennmt", {"vocab src": {"fields": 1}}, DataError, "this is no checkpoint of OpenNMT-py 3: it has no lists"),
        ("opennmt-lstm", {f"{ONMT} global_attention": "mlp"}, UsageError, 'global_attention is "mlp", which Seqloom'),
    ],
)
def test_what_can_not_be_expressed_is_said(
    read: Any, name: str, changes: dict[str, Any], error: type[Exception] | None, sentence: str
) -> None:
    if error is None:
        assert read(name, changes).model["class"] == "EncoderDecoder"
        return
    with pytest.raises(error) as caught:
        read(name, changes)
    assert sentence in str(caught.value) and "\n" not in str(caught.value)


def test_names_of_old_versions_of_fairseq_are_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Queries, keys and values in one product, numbered norms, and a readout of another name."""
    said = records.of("fairseq")
    path = records.laid_out("fairseq", said, tmp_path, monkeypatch)
    expected = reader("fairseq")(path, pickle_allowed=True)
    state, old = records.state_of("fairseq", said)["model"], {}
    for name, weight in state.items():
        owner, _, kind = name.rpartition(".")
        if owner.endswith("q_proj"):
            names = [name.replace("q_proj", f"{letter}_proj") for letter in "qkv"]
            old[owner.replace("q_proj", f"in_proj_{kind}")] = torch.cat([state[one] for one in names])
        elif not owner.endswith(("k_proj", "v_proj")):
            last = "2" if name.startswith("decoder") else "1"
            name = name.replace("encoder_attn_layer_norm", "layer_norms.1").replace(
                "self_attn_layer_norm", "layer_norms.0"
            )
            old[name.replace("final_layer_norm", f"layer_norms.{last}")] = weight
    assert old.keys() != state.keys()
    old["decoder.embed_out"] = old.pop("decoder.output_projection.weight")
    args = {**said["cfg"]["model"], "source_lang": "xx", "target_lang": "yy"}
    monkeypatch.setattr("seqloom.compat.fairseq.reading.unpickled", lambda *_, **__: {"model": old, "args": args})
    found = reader("fairseq")(path, pickle_allowed=True)
    assert found.model == expected.model
    assert all(torch.equal(found.weights[name], weight) for name, weight in expected.weights.items())


def test_joeynmt_cuts_text_as_its_configuration_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said, model = records.of("joeynmt-post"), foreign.sentencepiece_model(model_type="bpe")
    (tmp_path / "sp.model").write_bytes(model)
    (tmp_path / "codes.bpe").write_text("#version: 0.2\nw 1</w>\nw 2</w>\n")
    source = '"src": {"lang": "xx", "level": "word"'
    target = '"trg": {"lang": "yy", "level": "word"'
    assert source in said["files"]["config.yaml"] and target in said["files"]["config.yaml"]
    pieces = '"src": {"lang": "xx", "level": "bpe", "tokenizer_cfg": {"model_file": "elsewhere/sp.model"}'
    merges = '"trg": {"level": "bpe", "tokenizer_type": "subword-nmt", "tokenizer_cfg": {"codes": "codes.bpe"}'
    text = said["files"]["config.yaml"].replace(source, pieces).replace(target, merges)
    said["files"]["config.yaml"] = text.replace('"lowercase": false', '"lowercase": true, "normalize": true', 1)
    path = records.laid_out("joeynmt", said, tmp_path, monkeypatch)
    found = reader("joeynmt")(path, pickle_allowed=True)
    tokenizers = found.tokenizers
    assert "pieces that no vocabulary lists" in found.notes[0] and len(found.notes) == 1
    options = tokenizers.source.described()["parameters"]
    assert (options["cut"], options["lowercase"], options["tidy"], options["listed_only"]) == (
        "sentencepiece",
        True,
        True,
        False,
    )
    assert tokenizers.target.described()["parameters"]["cut"] == "bpe"
    assert tokenizers.target.decode(tokenizers.target.encode(["w1 w2"])[0]) == "w1 w2"


def test_what_no_file_cuts_is_noted(read: Any) -> None:
    said = records.of("fairseq")["files"]["dict.xx.txt"]
    marked = said.replace("w1 1", "w1@@ 1").replace("w2 1", "w2@@ 1")
    found = read("fairseq", {"files dict.xx.txt": marked, "files dict.yy.txt": marked})
    note = "no file of merges (codes) lies beside the model, so its source texts must be cut into pieces before"
    assert found.notes == (note,)
    assert found.tokenizers.target.decode(found.tokenizers.target.encode(["w1@@ w3 w2"])[0]) == "w1w3 ⁇"


def test_a_file_for_one_side_goes_before_one_for_both(tmp_path: Path) -> None:
    assert found_beside(tmp_path, "xx", ["a@@", "b"]).segmentation == "bpe"
    (tmp_path / "codes").touch()
    assert found_beside(tmp_path, "xx", []).file == tmp_path / "codes"
    (tmp_path / "codes.xx").touch()
    assert found_beside(tmp_path, "xx", []).file == tmp_path / "codes.xx"
    (tmp_path / "sentencepiece.bpe.model").touch()
    assert found_beside(tmp_path, "xx", []).cut == "sentencepiece"
    assert [segmentation_of(symbols) for symbols in (["▁a", "b"], ["a", "b"])] == ["sentencepiece", "none"]


VECTORS = torch.arange(10.0).view(5, 2)
LISTED = ["<s>", "</s>", "x", "<unk>", "<s>#"]


def test_symbols_change_places_and_keep_their_vectors() -> None:
    found = Numbering.of(LISTED, start=0, end=1, unknown=3)
    assert (found.symbols, found.rows) == (("x", "<s>#"), (0, 1, 3, 2, 4))
    assert_close(found.table(VECTORS), VECTORS[[0, 1, 3, 2, 4]])
    assert found.bias(None) is None
    assert_close(found.bias(VECTORS[:, 0]), VECTORS[[0, 1, 3, 2, 4], 0])


def test_a_start_that_is_none_of_theirs_is_added_and_never_said() -> None:
    shared = Numbering.of(LISTED, start=1, end=1, unknown=3)
    assert (shared.symbols, shared.rows) == (("<s>#", "x", "<s>##"), (1, 1, 3, 0, 2, 4))
    assert_close(shared.table(VECTORS)[BOS], VECTORS[1])
    nothing = Numbering.of(LISTED, start=None, end=1, unknown=3)
    assert nothing.table(VECTORS)[BOS].abs().max() == 0 and VECTORS[1].abs().max() > 0
    for found in (shared, nothing):
        bias = found.bias(None)
        assert bias is not None and bias[BOS] == NEVER and bias[1:].abs().max() == 0
    assert shared.names([0, 1, 2]) == ("<s>#", "x")


@pytest.mark.parametrize(
    ("files", "path", "toolkit"),
    [
        (["config.json", "vocab.json"], "", "marian-hf"),
        (["model.npz", "decoder.yml"], "", "marian"),
        (["checkpoint_best.pt", "dict.xx.txt", "dict.yy.txt"], "", "fairseq"),
        (["checkpoint_best.pt", "dict.xx.txt"], "checkpoint_best.pt", "fairseq"),
        (["config.yaml", "best.ckpt"], "best.ckpt", "joeynmt"),
        (["model_step_5.pt"], "model_step_5.pt", "opennmt-py"),
    ],
)
def test_names_of_files_say_whose_they_are(files: list[str], path: str, toolkit: str, tmp_path: Path) -> None:
    for name in files:
        (tmp_path / name).touch()
    assert guessed(tmp_path / path) == toolkit


def test_where_names_do_not_say_it_that_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="it isn't clear whose model this is; say --from marian-hf, marian, fairseq"):
        guessed(tmp_path)
    with pytest.raises(UsageError, match="there is no such file or directory"):
        guessed(tmp_path / "x")
