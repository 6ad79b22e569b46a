"""Run with JoeyNMT's own Python: a tiny model with random weights, as it saves it, and what it says."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from common import WORDS, fill, say, sentences
from joeynmt.config import _check_special_symbols
from joeynmt.model import build_model
from joeynmt.search import greedy
from joeynmt.vocabulary import Vocabulary

LIMIT = 15


def transformer(**changes: Any) -> dict[str, Any]:
    part = {"type": "transformer", "num_layers": 2, "num_heads": 4, "hidden_size": 16, "ff_size": 20, "dropout": 0.0}
    return {**part, "layer_norm": "pre", "embeddings": {"embedding_dim": 16, "scale": True, "dropout": 0.0}, **changes}


def recurrent(**changes: Any) -> dict[str, Any]:
    part = {"type": "recurrent", "rnn_type": "gru", "num_layers": 2, "hidden_size": 12, "dropout": 0.0}
    return {**part, "embeddings": {"embedding_dim": 10, "scale": False}, **changes}


def main() -> None:
    directory, changes = Path(sys.argv[1]), json.loads(sys.argv[2])
    make = recurrent if changes.pop("recurrent", False) else transformer
    sides = {side: make(**changes.pop(side, {})) for side in ("encoder", "decoder")}
    cfg = {"initializer": "xavier_uniform", **sides, **changes}
    specials = SimpleNamespace(**_check_special_symbols({}))
    joint = cfg.get("tied_embeddings", False)
    source = Vocabulary(list(WORDS), specials)
    target = source if joint else Vocabulary([*WORDS[::-1], "more"], specials)
    network = build_model(cfg, src_vocab=source, trg_vocab=target).eval()
    fill(network)
    source.to_file(directory / "src_vocab.txt")
    target.to_file(directory / "trg_vocab.txt")
    data = {side: {"lang": lang, "level": "word", "lowercase": False} for side, lang in (("src", "xx"), ("trg", "yy"))}
    testing = {"beam_size": 4, "beam_alpha": 1.0}
    config = {
        "name": "tiny",
        "joeynmt_version": "2.3.0",
        "model_dir": ".",
        "data": data,
        "testing": testing,
        "model": cfg,
    }
    (directory / "config.yaml").write_text(json.dumps(config))  # which is YAML, too
    state = {"model_state": network.state_dict(), "optimizer_state": {"state": {}}, "stats_state": {"steps": 1}}
    torch.save(state, directory / "best.ckpt")  # noqa: TID251 - as it does

    def ids(words: Any, rows: list[list[str]], **ends: bool) -> Any:
        padded, lengths, _ = words.sentences_to_ids(rows, **ends)
        return torch.tensor(padded), torch.tensor(lengths)

    def encoded(rows: list[list[str]]) -> Any:
        order = sorted(range(len(rows)), key=lambda i: -len(rows[i]))  # its recurrent encoder wants the longest first
        tokens, lengths = ids(source, [rows[i] for i in order], bos=False, eos=True)
        mask = (tokens != source.pad_index).unsqueeze(1)
        output, hidden = network._encode(tokens, lengths, mask)
        back = torch.tensor(sorted(range(len(rows)), key=lambda i: order[i]))
        return output[back], None if hidden is None else hidden[back], mask[back], tokens[back], lengths[back]

    def teacher(sources: list[list[str]], targets: list[list[str]]) -> Any:
        output, hidden, mask, _, _ = encoded(sources)
        tokens, _ = ids(target, targets, bos=True, eos=False)
        real = torch.ones_like(tokens, dtype=torch.bool).unsqueeze(1)
        steps = tokens.size(1)
        return network._decode(output, hidden, mask, tokens, steps, trg_mask=real)[0]

    with torch.inference_mode():
        output, hidden, mask, tokens, lengths = encoded(sentences(1))
        rows, _, _ = greedy(mask, LIMIT, network, output, hidden, return_prob="none", generate_unk=True)
    found = [target._array_to_sentence(row, cut_at_eos=True, skip_pad=False) for row in rows.numpy()]
    say(directory, network, target._itos, teacher, limit=LIMIT, greedy=found)


main()
