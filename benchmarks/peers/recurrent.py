"""One recurrent model with attention in the form that each toolkit reads, with random weights.

An embedding of 256, a bidirectional GRU of 256 a direction, a GRU of 512 with additive attention of 512 and input
feeding, and a projection of its own.  Toolkits differ in details (bridges, biases, where padding is read), so that the
same weights would say other things; random ones end no sentence, and all targets are made equally long.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from peers.weights import eole_config, write_eole_vocabulary, write_json
from safetensors.numpy import save_file

from seqloom.vocabulary import SPECIALS

EMBEDDING, DIRECTION, SIZE = 256, 256, 512
TOKENS = 16  # of every target


def seqloom(symbols: Sequence[str], folder: Path) -> None:
    """recurrent.json; the weights are drawn when it is loaded."""
    write_json(folder / "recurrent.json", {"embedding": EMBEDDING, "direction": DIRECTION, "size": SIZE})


def joeynmt(symbols: Sequence[str], folder: Path) -> None:
    """symbols.json and shape.json; the weights are drawn when it is loaded."""
    cell = {"type": "recurrent", "rnn_type": "gru", "num_layers": 1, "dropout": 0.0}
    cell["embeddings"] = {"embedding_dim": EMBEDDING, "dropout": 0.0}
    attention = {"attention": "bahdanau", "input_feeding": True, "init_hidden": "bridge", "hidden_dropout": 0.0}
    encoder = cell | {"hidden_size": DIRECTION, "bidirectional": True}
    model = {"tied_embeddings": True, "encoder": encoder, "decoder": cell | attention | {"hidden_size": SIZE}}
    write_json(folder / "shape.json", {"joeynmt": model | {"initializer": "xavier_uniform"}})
    write_json(folder / "symbols.json", list(symbols[len(SPECIALS) :]))


def eole(symbols: Sequence[str], folder: Path) -> None:
    """An eole model; its weights are drawn here, since it reads all that it has."""
    generator = np.random.default_rng(1)
    shapes = eole_shapes(len(symbols) + 1)
    tensors = {name: generator.uniform(-0.1, 0.1, shape).astype(np.float32) for name, shape in shapes.items()}
    save_file(tensors, folder / "model.00.safetensors")
    model = {
        "architecture": "custom",  # "rnn" would make the encoder unidirectional, whatever is asked for
        "layers": 1,
        "hidden_size": SIZE,
        "embeddings": {"word_vec_size": EMBEDDING, "position_encoding_type": None},  # which are on by default
        "share_embeddings": True,
        "encoder": {"encoder_type": "brnn", "rnn_type": "GRU"},
        "input_feed": 1,
        "decoder": {"decoder_type": "rnn", "rnn_type": "GRU", "global_attention": "mlp"},
    }
    write_json(folder / "config.json", eole_config(model))
    write_eole_vocabulary(symbols, folder)


def eole_shapes(vocabulary: int) -> dict[str, tuple[int, ...]]:
    """Every tensor of the model that eole makes of this."""
    shapes: dict[str, tuple[int, ...]] = {f"{side}_emb.embeddings.weight": (vocabulary, EMBEDDING) for side in SIDES}
    for direction in ("", "_reverse"):
        shapes |= gru("encoder.rnn.", f"_l0{direction}", EMBEDDING, DIRECTION)
    shapes |= gru("decoder.rnn.layers.0.", "", EMBEDDING + SIZE, SIZE)
    for name in ("linear_context", "linear_query"):
        shapes[f"decoder.attn.{name}.weight"] = (SIZE, SIZE)
    shapes |= {"decoder.attn.linear_query.bias": (SIZE,), "decoder.attn.v.weight": (1, SIZE)}
    shapes |= {"decoder.attn.linear_out.weight": (SIZE, 2 * SIZE), "decoder.attn.linear_out.bias": (SIZE,)}
    return shapes | {"generator.weight": (vocabulary, SIZE), "generator.bias": (vocabulary,)}


SIDES = ("src", "tgt")


def gru(before: str, behind: str, inputs: int, size: int) -> dict[str, tuple[int, ...]]:
    """The tensors of one of PyTorch's GRUs."""
    shapes = {"weight_ih": (3 * size, inputs), "weight_hh": (3 * size, size), "bias_ih": (3 * size,)}
    return {f"{before}{name}{behind}": shape for name, shape in (shapes | {"bias_hh": (3 * size,)}).items()}


WRITERS = {"seqloom": seqloom, "joeynmt": joeynmt, "eole": eole}
