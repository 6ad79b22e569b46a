"""Run with fairseq's own Python: a tiny Transformer with random weights, as it saves it, and what it says."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

import torch
from common import COUNT, WORDS, fill, say, sentences
from fairseq import checkpoint_utils
from fairseq.data import Dictionary
from fairseq.models.transformer import TransformerModel, base_architecture
from fairseq.tasks.translation import TranslationConfig, TranslationTask

LIMIT = 14


def dictionary(words: list[str]) -> Any:
    made = Dictionary()
    for word in words:
        made.add_symbol(word)
    made.pad_to_multiple_(8)
    return made


def options(changes: dict[str, Any]) -> Namespace:
    """The architecture, as its command line would say it."""
    made = Namespace(arch="transformer", max_source_positions=64, max_target_positions=64, dropout=0.0)
    for side in ("encoder", "decoder"):
        for name, size in (("embed_dim", 16), ("ffn_embed_dim", 20), ("attention_heads", 4), ("layers", 2)):
            setattr(made, f"{side}_{name}", size)
    for name, value in changes.items():
        setattr(made, name, value)
    base_architecture(made)
    return made


def main() -> None:
    directory, changes = Path(sys.argv[1]), json.loads(sys.argv[2])
    joint = changes.get("share_all_embeddings", False)
    source = dictionary(WORDS)
    target = source if joint else dictionary(WORDS[::-1] + ["more"])
    args = options(changes)
    args.source_lang, args.target_lang = "xx", "yy"
    task = TranslationTask(TranslationConfig(source_lang="xx", target_lang="yy"), source, target)
    network = TransformerModel.build_model(args, task).eval()
    fill(network)
    for name, words in (("xx", source), ("yy", target)):
        words.save(str(directory / f"dict.{name}.txt"))
    cfg = {"_name": None, "task": {"_name": "translation", "source_lang": "xx", "target_lang": "yy"}, "model": args}
    state = {"args": None, "cfg": cfg, "model": network.state_dict(), "extra_state": {"epoch": 1}}
    checkpoint_utils.torch_persistent_save(state, str(directory / "checkpoint_best.pt"))

    def ids(words: Any, rows: list[list[str]], first: list[int], last: list[int]) -> Any:
        made = [[*first, *(words.index(word) for word in row), *last] for row in rows]
        width = max(map(len, made))
        return torch.tensor([[words.pad()] * (width - len(row)) + row for row in made]), torch.tensor(
            [len(r) for r in made]
        )

    def teacher(sources: list[list[str]], targets: list[list[str]]) -> Any:
        tokens, lengths = ids(source, sources, [], [source.eos()])
        return network(tokens, lengths, ids(target, targets, [target.eos()], [])[0])[0]

    found: dict[str, Any] = {}
    tokens, lengths = ids(source, sentences(1), [], [source.eos()])
    for beam in (1, 4):
        wanted = Namespace(beam=beam, nbest=1, lenpen=0.0, unkpen=0.0, max_len_a=0, max_len_b=LIMIT)
        generator = task.build_generator([network], wanted)
        batch = {"net_input": {"src_tokens": tokens, "src_lengths": lengths}}
        best = [rows[0] for rows in generator.generate([network], batch)]
        assert len(best) == COUNT
        found[f"beam {beam}"] = [
            [[target[i] for i in one["tokens"].tolist()[:-1]], float(one["score"])] for one in best
        ]
    say(directory, network, target.symbols, teacher, limit=LIMIT + 1, cfg={**cfg, "model": vars(args)}, **found)


main()
