"""Models that other toolkits' own packages made say here what they say there.

What these said once is recorded, so that it is compared everywhere; where the toolkits are, in
$SEQLOOM_PEERS/NAME/bin/python, they are asked again, and of a hundred sentences.
"""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import foreign
import numpy as np
import pytest
import records
import torch
from torch.testing import assert_close

from seqloom.compat.readers import guessed, reader
from seqloom.vocabulary import EOS, UNK

PEERS = os.environ.get("SEQLOOM_PEERS")
OTHER = {"activation_fn": "gelu", "no_scale_embedding": True, "encoder_learned_pos": True, "decoder_learned_pos": True}
BEFORE = {"encoder_normalize_before": True, "decoder_normalize_before": True, "share_decoder_input_output_embed": True}
JOINT = {"tied_embeddings": True, "tied_softmax": True}
POST = {side: {"layer_norm": "post", "activation": "gelu"} for side in ("encoder", "decoder")}
LSTM = {
    "encoder": {"rnn_type": "lstm", "num_layers": 1},
    "decoder": {"rnn_type": "lstm", "attention": "luong", "init_hidden": "last", "input_feeding": False},
}
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "fairseq": ("fairseq", {"share_all_embeddings": True}),
    "fairseq-other": ("fairseq", {**OTHER, **BEFORE}),
    "joeynmt": ("joeynmt", JOINT),
    "joeynmt-post": ("joeynmt", POST),
    "joeynmt-gru": ("joeynmt", {"recurrent": True}),
    "joeynmt-lstm": ("joeynmt", {"recurrent": True, **LSTM}),
    "opennmt": ("opennmt-py", {"share_embeddings": True, "share_decoder_embeddings": True}),
    "opennmt-other": (
        "opennmt-py",
        {"position_encoding_type": "SinusoidalConcat", "add_qkvbias": True, "pos_ffn_activation_fn": "gelu"},
    ),
    "opennmt-lstm": ("opennmt-py", {"recurrent": True, "rnn_type": "LSTM", "global_attention": "general"}),
    "opennmt-gru": (
        "opennmt-py",
        {"recurrent": True, "rnn_type": "GRU", "global_attention": "dot", "encoder_type": "rnn"},
    ),
}
FIRST = {"fairseq": "</s>"}  # what targets begin with, where it isn't <s>


def said_by(name: str, directory: Path) -> dict[str, Any]:
    """What a toolkit says of a model that it makes in a directory."""
    toolkit, changes = MODELS[name]
    python = Path(PEERS or "") / toolkit / "bin" / "python"
    if not PEERS or not python.exists():
        pytest.skip(f"{toolkit} is not there; set SEQLOOM_PEERS to a folder with {toolkit}/bin/python")
    script = records.SCRIPTS / f"{toolkit.removesuffix('-py')}_model.py"
    done = subprocess.run([python, script, directory, json.dumps(changes)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads((directory / "expected.json").read_text())  # type: ignore[no-any-return]


def kept(said: dict[str, Any]) -> dict[str, Any]:
    """What is recorded of what was said: all that a checkpoint is made of, and the logits of two sentences."""
    return {name: value for name, value in said.items() if not name.startswith(("beam", "greedy", "limit"))}


def check_logits(name: str, ours: Any, symbols: list[str], expected: torch.Tensor) -> None:
    """Each of their symbols has the same logit here, behind sentences and targets that they were asked of."""
    told, count = records.common(), len(expected)
    toolkit = MODELS[name][0]
    sources = ours.tokenizers.source.encode([" ".join(words) for words in told.sentences(1)[:count]])
    known = ours.tokenizers.target.vocabulary
    ids = [known.ids([symbol])[0] for symbol in symbols]
    if toolkit == "fairseq":  # its <s> is a symbol that nothing begins with
        ids[symbols.index("<s>")] = known.ids(["<s>#"])[0]
    targets = torch.tensor([known.ids(words) for words in told.targets()[:count]])
    assert len(set(ids)) == len(symbols) and UNK in ids and EOS in ids
    assert_close(foreign.logits(ours, sources, targets)[..., ids], expected, atol=1e-5, rtol=0)


def shown(tokens: list[str]) -> list[str]:
    """Tokens as our tokenizers call them."""
    return [{"<s>": "<s>#"}.get(token, token) for token in tokens]


@pytest.mark.parametrize("name", MODELS)
def test_a_model_says_what_was_recorded(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reading of pickles takes a process, and has tests of its own: here it is passed over."""
    toolkit, said = MODELS[name][0], records.of(name)
    path = records.laid_out(toolkit, said, tmp_path, monkeypatch)
    assert guessed(path) == toolkit
    ours = foreign.adopted(reader(toolkit)(path, pickle_allowed=True), tmp_path / "run")
    check_logits(name, ours, said["symbols"], torch.tensor(said["logits"], dtype=torch.float64))


@pytest.mark.parametrize("name", MODELS)
def test_a_model_says_what_it_says_in_its_toolkit(name: str, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    said, toolkit = said_by(name, theirs), MODELS[name][0]
    record = records.of(name)
    assert_close(torch.tensor(said["logits"]), torch.tensor(record["logits"]), atol=1e-5, rtol=0)
    assert kept(said).keys() == record.keys() and said["state"] == record["state"]
    path = theirs / "model_step_1.pt" if toolkit == "opennmt-py" else theirs
    assert guessed(path) == toolkit
    ours = foreign.adopted(reader(toolkit)(path, pickle_allowed=True), tmp_path / "run")
    check_logits(name, ours, said["symbols"], torch.from_numpy(np.load(theirs / "logits.npy")))

    texts = [" ".join(words) for words in records.common().sentences(1)]
    assert ours.options.unknown == "show"
    for beam in (1, 4):
        changes = {"beam_size": beam, "length_penalty_kind": "none", "max_length": said["limit"]}
        found = ours.translate(texts, replace(ours.options, **changes))
        tokens = [one.alternatives[0].tokens for one in found]
        if wanted := said.get(f"beam {beam}"):
            assert tokens == [shown(row) for row, _ in wanted]
            assert_close(
                torch.tensor([one.score for one in found]), torch.tensor([s for _, s in wanted]), atol=1e-4, rtol=1e-4
            )
        elif beam == 1:  # these end nothing at the limit
            last = said["limit"] - 1
            ends = [row[: row.index("</s>")] if "</s>" in row else row[:last] for row in said["greedy"]]
            # JoeyNMT's greedy search of a Transformer, and no other search there, may write padding.
            same = [row == shown(end) for row, end in zip(tokens, ends, strict=True) if "<pad>" not in end]
            assert all(same) and len(same) > 90
        assert beam > 1 or len({tuple(row) for row in tokens}) > 1
