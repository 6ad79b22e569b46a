"""One trained Transformer in the form that each toolkit reads: the same numbers under other names.

What is written are folders.  eole and transformers get their own formats, which are safetensors.  The checkpoints of
fairseq and JoeyNMT are pickles; they get their tensors in an .npz instead, which is put into the model that the toolkit
builds.  Positions are part of what is written, since the toolkits' own sinusoids differ from each other.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from seqloom.layers.positions import sinusoids
from seqloom.vocabulary import BOS, EOS, SPECIALS, UNK

Array = NDArray[np.float32]
Tensors = dict[str, Array]
PAD = -1  # among our ids, which have none for padding
POSITIONS = 1024  # for which there are vectors
IMPOSSIBLE = -1e9  # the bias of a symbol that is never to be written


@dataclass(frozen=True)
class Trained:
    """A Transformer of ours: tensors by our names, and the symbols in the order of their ids."""

    tensors: Mapping[str, Array]
    symbols: Sequence[str]
    heads: int
    epsilon: float = 1e-5

    @classmethod
    def read(cls, weights: Path, symbols: Sequence[str], *, heads: int) -> Trained:
        return cls(load_file(weights), symbols, heads)

    @property
    def table(self) -> Array:
        """The vectors of all symbols, [V, D]."""
        return self.tensors["encoder.embedding.table.weight"]

    @property
    def width(self) -> int:
        return int(self.table.shape[1])

    @property
    def inner(self) -> int:
        return int(self.tensors["encoder.layers.0.feedforward.inner.weight"].shape[0])

    def layers(self, side: str) -> int:
        return 1 + max(int(name.split(".")[2]) for name in self.tensors if name.startswith(f"{side}.layers."))

    def rows(self, order: Sequence[int]) -> Array:
        """The vectors in another order of symbols; padding's is zero."""
        with_padding = np.concatenate([self.table, np.zeros_like(self.table[:1])])
        return with_padding[list(order)]

    def positions(self, count: int = POSITIONS) -> Array:
        """What is added to the tokens at so many positions, [count, D]."""
        return sinusoids(0, count, self.width, torch.device("cpu")).numpy()

    def parts(self) -> Iterator[tuple[str, int, str, str, Array]]:
        """Everything in the layers: the side, the layer, our name of the part, "weight" or "bias", and the array.

        An encoder's attention is called `self_attention`, as a decoder's is; keys and values are separate.
        """
        for name, array in self.tensors.items():
            side, kind, rest = name.split(".", 2)
            if kind != "layers":
                continue
            layer, part, last = rest.split(".", 1)[0], rest.split(".", 1)[1].rsplit(".", 1)[0], rest.rsplit(".", 1)[1]
            if side == "encoder":
                part = part.replace("attention", "self_attention", 1)
            if part.endswith("key_value"):
                for half, values in zip(("key", "value"), np.split(array, 2), strict=True):
                    yield side, int(layer), part.replace("key_value", half), last, values
            else:
                yield side, int(layer), part, last, array


@dataclass(frozen=True)
class Names:
    """How a toolkit calls what is in a layer, and where a layer is."""

    layer: str
    encoder: Mapping[str, str]
    decoder: Mapping[str, str]

    def renamed(self, trained: Trained) -> Tensors:
        sides = {"encoder": self.encoder, "decoder": self.decoder}
        return {
            f"{self.layer.format(side=side, layer=layer)}.{sides[side][part]}.{last}": array
            for side, layer, part, last, array in trained.parts()
        }


def attention(ours: str, theirs: str, query: str, key: str, value: str, out: str) -> dict[str, str]:
    names = {"query": query, "key": key, "value": value, "out": out}
    return {f"{ours}.{mine}": f"{theirs}.{other}" for mine, other in names.items()}


def feedforward(inner: str, outer: str, norm: str) -> dict[str, str]:
    return {"feedforward.inner": inner, "feedforward.outer": outer, "around_feedforward.norm": norm}


BART = ("q_proj", "k_proj", "v_proj", "out_proj")
BART_ENCODER = {
    **attention("self_attention", "self_attn", *BART),
    "around_self_attention.norm": "self_attn_layer_norm",
    **feedforward("fc1", "fc2", "final_layer_norm"),
}
BART_DECODER = BART_ENCODER | {
    **attention("attention", "encoder_attn", *BART),
    "around_attention.norm": "encoder_attn_layer_norm",
}
EOLE = ("linear_query", "linear_keys", "linear_values", "final_linear")
EOLE_ENCODER = {
    **attention("self_attention", "self_attn", *EOLE),
    "around_self_attention.norm": "input_layernorm",
    **feedforward("mlp.gate_up_proj", "mlp.down_proj", "post_attention_layernorm"),
}
EOLE_DECODER = EOLE_ENCODER | {
    **attention("attention", "context_attn", *EOLE),
    "around_attention.norm": "precontext_layernorm",
}
JOEY = ("q_layer", "k_layer", "v_layer", "output_layer")
JOEY_NETWORK = feedforward("feed_forward.pwff_layer.0", "feed_forward.pwff_layer.3", "feed_forward.layer_norm")
JOEY_ENCODER = {
    **attention("self_attention", "src_src_att", *JOEY),
    "around_self_attention.norm": "layer_norm",
    **JOEY_NETWORK,
}
JOEY_DECODER = {
    **attention("self_attention", "trg_trg_att", *JOEY),
    **attention("attention", "src_trg_att", *JOEY),
    "around_self_attention.norm": "x_layer_norm",
    "around_attention.norm": "dec_layer_norm",
    **JOEY_NETWORK,
}


def norms(trained: Trained, name: str) -> Tensors:
    """The norms behind the last layers; `name` has a place for the side."""
    return {
        f"{name.format(side=side)}.{last}": trained.tensors[f"{side}.norm.{last}"]
        for side in ("encoder", "decoder")
        for last in ("weight", "bias")
    }


def pieces(trained: Trained) -> list[int]:
    """The ids of all symbols that are text."""
    return list(range(len(SPECIALS), len(trained.symbols)))


def fairseq(trained: Trained, folder: Path) -> None:
    """dict.txt, shape.json and model.npz.  Positions are learnt ones to fairseq, which count from padding's id + 1."""
    order = [BOS, PAD, EOS, UNK, *pieces(trained)]
    table, unused = trained.rows(order), np.zeros((2, trained.width), np.float32)
    tensors = Names("{side}.layers.{layer}", BART_ENCODER, BART_DECODER).renamed(trained)
    tensors |= norms(trained, "{side}.layer_norm") | {"decoder.output_projection.weight": table}
    for side in ("encoder", "decoder"):
        tensors[f"{side}.embed_tokens.weight"] = table
        tensors[f"{side}.embed_positions.weight"] = np.concatenate([unused, trained.positions()])
        tensors[f"{side}.version"] = np.array([3.0], np.float32)
    write_npz(trained, folder, tensors)
    lines = (f"{trained.symbols[i]} 1\n" for i in pieces(trained))
    (folder / "dict.txt").write_text("".join(lines), "utf8")


def joeynmt(trained: Trained, folder: Path) -> None:
    """symbols.json, shape.json and model.npz.  Positions are a buffer, of whatever JoeyNMT puts there."""
    table = trained.rows([UNK, PAD, BOS, EOS, *pieces(trained)])
    tensors = Names("{side}.layers.{layer}", JOEY_ENCODER, JOEY_DECODER).renamed(trained)
    tensors |= norms(trained, "{side}.layer_norm") | {"decoder.output_layer.weight": table}
    tensors |= {"src_embed.lut.weight": table, "trg_embed.lut.weight": table}
    tensors |= {f"{side}.pe.pe": trained.positions(5000)[None] for side in ("encoder", "decoder")}
    write_npz(trained, folder, tensors)
    write_json(folder / "symbols.json", list(trained.symbols[len(SPECIALS) :]))


def eole(trained: Trained, folder: Path) -> None:
    """An eole model: config.json, vocab.json and model.00.safetensors."""
    table = trained.rows([*range(len(trained.symbols)), PAD])
    tensors = Names("{side}.transformer_layers.{layer}", EOLE_ENCODER, EOLE_DECODER).renamed(trained)
    tensors |= norms(trained, "{side}.layer_norm")
    tensors |= {"generator.weight": table, "generator.bias": np.zeros(len(table), np.float32)}
    for side in ("src", "tgt"):
        tensors[f"{side}_emb.embeddings.weight"] = table
        tensors[f"{side}_emb.pe.pe"] = trained.positions(5000)[:, None]
    save_file({name: np.ascontiguousarray(array) for name, array in tensors.items()}, folder / "model.00.safetensors")
    write_eole_vocabulary(trained.symbols, folder)
    shape = {
        "architecture": "transformer",
        "hidden_size": trained.width,
        "transformer_ff": trained.inner,
        "heads": trained.heads,
        "norm_eps": trained.epsilon,
        "add_qkvbias": True,
        "add_final_linear_bias": True,
        "add_ffnbias": True,
        "share_embeddings": True,
        "share_decoder_embeddings": True,
        "embeddings": {"word_vec_size": trained.width, "position_encoding_type": "SinusoidalConcat"},
        "encoder": {"layers": trained.layers("encoder")},
        "decoder": {"layers": trained.layers("decoder")},
    }
    write_json(folder / "config.json", eole_config(shape))


def eole_config(shape: Mapping[str, object]) -> dict[str, object]:
    """What stands beside the model in an eole model's config.json."""
    return {
        "share_vocab": True,
        "src_vocab": "vocab",  # where training found it; nothing looks there
        "tgt_vocab": "vocab",
        "save_data": "data",
        "data": {},
        "transforms": [],
        "training": {"world_size": 0, "gpu_ranks": []},
        "model": dict(shape),
    }


def write_eole_vocabulary(symbols: Sequence[str], folder: Path) -> None:
    """vocab.json: our symbols, and one for padding behind them."""
    specials = {"bos_token": "<s>", "pad_token": "<blank>", "eos_token": "</s>", "unk_token": "<unk>"}
    both = dict.fromkeys(("src", "tgt"), [*symbols, "<blank>"])
    write_json(folder / "vocab.json", both | {"specials": specials})


def hf(trained: Trained, folder: Path) -> None:
    """A Pegasus model: MarianMT with the norms before the parts, which MarianMT has behind them."""
    symbols = len(trained.symbols)
    table, bias = trained.rows([*range(symbols), PAD]), np.zeros((1, symbols + 1), np.float32)
    bias[0, [BOS, UNK, symbols]] = IMPOSSIBLE
    tensors = Names("model.{side}.layers.{layer}", BART_ENCODER, BART_DECODER).renamed(trained)
    tensors |= norms(trained, "model.{side}.layer_norm")
    tensors |= {"model.shared.weight": table, "final_logits_bias": bias}
    save_file({name: np.ascontiguousarray(array) for name, array in tensors.items()}, folder / "model.safetensors")
    sides = {
        f"{side}_{name}": value
        for side in ("encoder", "decoder")
        for name, value in (
            ("layers", trained.layers(side)),
            ("ffn_dim", trained.inner),
            ("attention_heads", trained.heads),
        )
    }
    config = {
        "model_type": "pegasus",
        "architectures": ["PegasusForConditionalGeneration"],
        "activation_function": "relu",
        "d_model": trained.width,
        "vocab_size": symbols + 1,
        "max_position_embeddings": POSITIONS,
        "scale_embedding": True,
        "tie_word_embeddings": True,
        "dropout": 0.0,
        "pad_token_id": symbols,
        "eos_token_id": EOS,
        "bos_token_id": BOS,
        "decoder_start_token_id": BOS,
        "forced_eos_token_id": None,
        "torch_dtype": "float32",
    }
    write_json(folder / "config.json", config | sides)
    write_json(folder / "symbols.json", list(trained.symbols))


def write_npz(trained: Trained, folder: Path, tensors: Tensors) -> None:
    np.savez(folder / "model.npz", **tensors)  # type: ignore[arg-type]
    shape = {"width": trained.width, "inner": trained.inner, "heads": trained.heads}
    layers = {f"{side}_layers": trained.layers(side) for side in ("encoder", "decoder")}
    write_json(folder / "shape.json", shape | layers)


def write_json(file: Path, value: object) -> None:
    file.write_text(json.dumps(value, indent=1, ensure_ascii=False), "utf8")


WRITERS = {"fairseq": fairseq, "joeynmt": joeynmt, "eole": eole, "hf": hf}
