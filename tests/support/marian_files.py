"""Models of Marian, written as Marian writes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import foreign
import numpy as np

SIZE, INNER = 16, 20
POST = {"transformer-preprocess": "", "transformer-postprocess": "dan", "transformer-postprocess-top": ""}
PRE = {"transformer-preprocess": "n", "transformer-postprocess": "da", "transformer-postprocess-top": "n"}
OPTIONS: dict[str, Any] = {
    "type": "transformer",
    "dim-emb": SIZE,
    "enc-depth": 2,
    "dec-depth": 2,
    "transformer-heads": 4,
    "transformer-dim-ffn": INNER,
    "transformer-ffn-activation": "swish",
    "transformer-decoder-autoreg": "self-attention",
    "transformer-no-projection": False,
    "transformer-postprocess-emb": "d",
    "transformer-guided-alignment-layer": "last",
    "tied-embeddings-all": True,
    **POST,
}
SSRU = {"transformer-decoder-autoreg": "rnn", "dec-cell": "ssru"}


def arrays(symbols: int, options: dict[str, Any]) -> dict[str, Any]:
    """Random weights under Marian's names, matrices [in, out], vectors with a dimension of 1 before them."""
    draw = np.random.default_rng(1)

    def drawn(*shape: int, about: float = 0.0, scale: float = 0.5) -> Any:
        return (about + scale * draw.standard_normal(shape)).astype(np.float32)

    before = "_pre" if options["transformer-preprocess"] == "n" else ""
    found: dict[str, Any] = {
        "Wemb": drawn(symbols, SIZE, scale=0.25),
        "decoder_ff_logit_out_b": drawn(1, symbols, scale=0.1),
    }

    def norm(name: str, mark: str = before) -> None:
        found[f"{name}_ln_scale{mark}"] = drawn(1, SIZE, about=1.0, scale=0.2)
        found[f"{name}_ln_bias{mark}"] = drawn(1, SIZE)

    for side in ("encoder", "decoder"):
        for layer in ("l1", "l2"):
            recurrent = side == "decoder" and options["transformer-decoder-autoreg"] == "rnn"
            for part in ("self", "context")[: 1 if side == "encoder" else 2]:
                name = f"{side}_{layer}_{part}"
                if part == "self" and recurrent:
                    name = f"{side}_{layer}_rnn"
                    found |= {
                        f"{name}_W": drawn(SIZE, SIZE),
                        f"{name}_Wf": drawn(SIZE, SIZE),
                        f"{name}_bf": drawn(1, SIZE),
                    }
                    norm(f"{name}_ffn")
                    continue
                for letter in "qkvo":
                    found |= {f"{name}_W{letter}": drawn(SIZE, SIZE), f"{name}_b{letter}": drawn(1, SIZE)}
                norm(f"{name}_Wo")
            name = f"{side}_{layer}_ffn"
            found |= {f"{name}_W1": drawn(SIZE, INNER), f"{name}_b1": drawn(1, INNER)}
            found |= {f"{name}_W2": drawn(INNER, SIZE), f"{name}_b2": drawn(1, SIZE)}
            norm(f"{name}_ffn")
        if before:
            norm(f"{side}_top", "")
    return found


def write(
    directory: Path, *, vocabulary: str = "vocab.yml", more: dict[str, Any] | None = None, **options: Any
) -> Path:
    """A directory with a model, a vocabulary, and the SentencePiece models that cut its text."""
    directory.mkdir()
    model = foreign.sentencepiece_model(model_type="bpe")
    pieces = foreign.pieces_of(model)
    if vocabulary.endswith(".spm"):
        (directory / vocabulary).write_bytes(model)
    else:
        symbols = ["</s>", "<unk>", *sorted({*pieces} - {"<s>", "</s>", "<unk>"}), ">>de<<"]
        lines = [f"{json.dumps(symbol, ensure_ascii=False)}: {number}" for number, symbol in enumerate(symbols)]
        (directory / vocabulary).write_text("\n".join(lines) + "\n", "utf-8")
        pieces = symbols
        for side in ("source", "target"):
            (directory / f"{side}.spm").write_bytes(model)
    said = {name.replace("_", "-"): value for name, value in options.items()}
    said = {name: value for name, value in {**OPTIONS, **said}.items() if value is not None}
    text = np.frombuffer(f"{json.dumps(said)}\n\0".encode(), np.int8)
    np.savez(
        directory / "model.npz",
        **{"special:model.yml": text, **arrays(len(pieces), {**OPTIONS, **said}), **(more or {})},
    )
    return directory
