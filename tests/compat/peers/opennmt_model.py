"""Run with a Python that has OpenNMT-py 3: a tiny model with random weights, as it saves it, and what it says."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pyonmttok
import torch
from common import WORDS, fill, say, sentences
from onmt.inputters.inputter import vocabs_to_dict
from onmt.model_builder import build_base_model
from onmt.opts import train_opts
from onmt.utils.parse import ArgumentParser

LIMIT = 15
SPECIALS = ["<unk>", "<blank>", "<s>", "</s>"]
SIZES = {"enc_layers": 2, "dec_layers": 2, "heads": 4, "hidden_size": 16, "word_vec_size": 16, "transformer_ff": 20}
TRANSFORMER = {"encoder_type": "transformer", "decoder_type": "transformer", "position_encoding": True, **SIZES}
RECURRENT = {"encoder_type": "brnn", "decoder_type": "rnn", "layers": 2, "hidden_size": 12, "word_vec_size": 10}


def options(changes: dict[str, Any]) -> Any:
    """What its command line's parser makes of these."""
    parser = ArgumentParser()
    train_opts(parser)
    chosen = {"dropout": [0.0], **(RECURRENT if changes.pop("recurrent", False) else TRANSFORMER), **changes}
    made, _ = parser.parse_known_args(["--data", "{}", "--src_vocab", "x"])
    for name, value in chosen.items():
        setattr(made, name, value)
    ArgumentParser.update_model_opts(made)
    return ArgumentParser.ckpt_model_opts(made)


def vocabulary(words: list[str]) -> Any:
    return pyonmttok.build_vocab_from_tokens(words, special_tokens=SPECIALS)


def main() -> None:
    directory, changes = Path(sys.argv[1]), json.loads(sys.argv[2])
    source = vocabulary(list(WORDS))
    target = source if changes.get("share_embeddings") else vocabulary([*WORDS[::-1], "more"])
    for words in (source, target):
        words.default_id = words["<unk>"]
    vocabs = {"src": source, "tgt": target, "data_task": "seq2seq", "decoder_start_token": "<s>"}
    opt = options(changes)
    network = build_base_model(opt, vocabs).eval()
    if changes.get("share_decoder_embeddings"):
        network.generator.weight = network.decoder.embeddings.word_lut.weight
    fill(network)
    weights = {name: x for name, x in network.state_dict().items() if "generator" not in name}
    state = {"model": weights, "generator": network.generator.state_dict(), "vocab": vocabs_to_dict(vocabs), "opt": opt}
    torch.save(state | {"optim": {}}, directory / "model_step_1.pt")  # noqa: TID251 - as it does

    def ids(words: Any, rows: list[list[str]]) -> Any:
        made = [words(row) for row in rows]
        width = max(map(len, made))
        padded = [row + [words["<blank>"]] * (width - len(row)) for row in made]
        return torch.tensor(padded)[..., None], torch.tensor([len(row) for row in made])

    def said(sources: list[list[str]], tokens: Any) -> Any:
        src, lengths = ids(source, sources)
        output, states, lengths = network.encoder(src, lengths)
        network.decoder.init_state(src, output, states)
        return network.generator(network.decoder(tokens, output, src_len=lengths)[0])

    def teacher(sources: list[list[str]], targets: list[list[str]]) -> Any:
        return said(sources, ids(target, [["<s>", *row] for row in targets])[0])

    tokens = torch.full((len(sentences(1)), 1, 1), target["<s>"])
    with torch.inference_mode():
        for _ in range(LIMIT):  # every step anew, so that nothing of what it keeps between steps can matter
            last = said(sentences(1), tokens)[:, -1]
            last[:, target["<blank>"]] = float("-inf")
            last[:, target["<s>"]] = float("-inf")
            tokens = torch.cat([tokens, last.argmax(-1)[:, None, None]], 1)
    names = target.ids_to_tokens
    found = [[names[i] for i in row] for row in tokens[:, 1:, 0].tolist()]
    say(
        directory,
        network,
        names,
        teacher,
        limit=LIMIT,
        greedy=[cut(row) for row in found],
        opt=vars(opt),
        vocab=state["vocab"],
    )


def cut(row: list[str]) -> list[str]:
    return row[: row.index("</s>") + 1] if "</s>" in row else row


main()
