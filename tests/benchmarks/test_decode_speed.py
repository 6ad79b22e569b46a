"""What is asked of other toolkits that translate, and what becomes of the answers; none of them is needed here."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from seqloom.decoders import TransformerDecoder
from seqloom.encoders import TransformerEncoder
from seqloom.models import EncoderDecoder, VocabularySizes
from seqloom.models.encoder_decoder import EmbeddingOptions
from seqloom.vocabulary import SPECIALS

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
SYMBOLS = (*SPECIALS, *"abcdefghi")


@pytest.fixture(scope="module")
def script() -> Any:
    spec = importlib.util.spec_from_file_location("decode_speed", BENCHMARKS / "decode_speed.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where a dataclass looks up its annotations
    spec.loader.exec_module(module)
    sys.path.insert(0, str(BENCHMARKS / "peers"))  # where a toolkit's own interpreter is started
    return module


# 1. What is made of the figures.


def found(*seconds: float, **more: Any) -> dict[str, Any]:
    figures = {"seconds": list(seconds), "busy": list(seconds), "peak_mib": 1234.5, "target_pieces": 12.5}
    return figures | {"loading_seconds": 1.0, "warm_up_seconds": 1.0} | more


def test_the_table_compares_rounds_with_each_other(script: Any) -> None:
    systems = {
        "seqloom": found(2.0, 1.0, 4.0, equal=1.0, bleu=36.5),
        "fairseq": found(3.0, 2.0, 2.0, equal=0.975, bleu=36.44),
        "eole": {"failed": "no"},
    }
    lines = script.table({"systems": systems, "sentences": 10, "words": 120}).splitlines()
    assert lines[2:] == [
        "| seqloom | 5.0 | 60 | 2.5 to 10.0 | 5.0 | 1,234 | 100.0 % | 36.50 | 12.5 |  |",
        "| fairseq | 5.0 | 60 | 3.3 to 5.0 | 5.0 | 1,234 | 97.5 % | 36.44 | 12.5 | 1.50 x |",
        "| eole | failed: no | | | | | | | | |",
    ]
    assert len({line.count("|") for line in lines}) == 1


def test_without_our_own_figures_nothing_is_compared(script: Any) -> None:
    lines = script.table({"systems": {"hf": found(2.0)}, "sentences": 10, "words": 120}).splitlines()
    assert lines[2] == "| hf | 5.0 | 60 | 5.0 to 5.0 | 5.0 | 1,234 |  |  | 12.5 |  |"


def test_what_was_wanted_stands_beside_what_was_found(script: Any) -> None:
    known = {
        "recurrent, a": {"systems": {"seqloom": found(1.0), "eole": found(3.0), "joeynmt": {"failed": "no"}}},
        "recurrent, b": {"systems": {"seqloom": found(2.0), "eole": found(1.0), "joeynmt": found(3.0)}},
    }
    lines = script.bars("recurrent", known, list(known)).splitlines()
    assert lines[0] == "| recurrent: how many times as fast | wanted | a | b |"
    assert lines[2:] == ["| seqloom / eole | 1.0 | 3.00 | 0.50 |", "| seqloom / joeynmt | 1.0 |  | 1.50 |"]
    named = {decoder.name for decoder in script.MODELS["transformer"]}
    assert {name for pair in script.WANTED["transformer"] for name in pair} <= named


def test_pieces_are_joined_to_text(script: Any) -> None:
    assert script.joined("▁Ein ▁Bo h err ier .") == "Ein Boherrier."


def test_every_combination_is_measured_once_and_then_known(script: Any) -> None:
    chosen = script.arguments(["peers", "--texts", "multi30k", "--beams", "1", "4", "--batches", "64", "1"])
    names = [setting.name for setting in script.settings(chosen)]
    assert names == [f"multi30k, beam {beam}, batch {batch}" for batch in (64, 1) for beam in (1, 4)]
    decoders, model = script.MODELS["transformer"][:2], script.Model(Path("run"), Path("work/one"), tokenizers=None)
    systems = {decoder.name: found(1.0) for decoder in decoders}
    whole = {"model": "one", "sentences": 10, "systems": systems}
    half = whole | {"systems": systems | {decoders[1].name: {"failed": "no"}}}
    others = (None, half, whole | {"sentences": 9}, whole | {"model": "other"}, whole)
    assert [script.complete(one, decoders, model, 10) for one in others] == [False] * 4 + [True]


def test_a_run_that_changes_has_other_files(script: Any, tmp_path: Path) -> None:
    from peers.decoders import stamp

    before = stamp(tmp_path)
    assert stamp(tmp_path) == before
    (tmp_path / "shortlist.safetensors").write_bytes(b"one")
    assert stamp(tmp_path) != before


# 2. Processes that wait until they are asked.

ECHO = """
import json, sys
print(json.dumps({"loading": 1.5, "peak": 10}), flush=True)
for line in sys.stdin:
    question = json.loads(line)
    if question["beam"] == 9:
        sys.exit("there are no 9 beams")
    print(json.dumps({"targets": [str(question["beam"])] * 3}), flush=True)
"""


def test_a_worker_answers_until_it_fails(script: Any, tmp_path: Path) -> None:
    worker = script.Worker("echo", [sys.executable, "-c", ECHO], log=tmp_path / "log", threads=1)
    assert worker.loaded() == {"loading": 1.5, "peak": 10}
    assert [worker.ask(beam=beam)["targets"] for beam in (1, 5)] == [["1"] * 3, ["5"] * 3]
    with pytest.raises(script.Failed) as failure:
        worker.ask(beam=9)
    assert str(failure.value) == f"echo does not answer; {tmp_path / 'log'} ends with: there are no 9 beams"
    with pytest.raises(script.Failed):
        worker.ask(beam=1)


@pytest.mark.parametrize("sorts", [True, False])
def test_sentences_come_back_in_their_order(script: Any, tmp_path: Path, sorts: bool) -> None:
    import decoding
    from toolkits.base import How, in_batches

    given: list[list[str]] = []

    class Mirror:
        def prepared(self, how: How) -> Any:
            def translate(lines: Sequence[str]) -> list[str]:
                given.append(list(lines))
                return [f"{line}!" for line in lines]

            return in_batches(translate, how.batch)

    Mirror.sorts = sorts  # type: ignore[attr-defined]
    lines = ["a b c", "a", "", "a b", "b"]
    (tmp_path / "text").write_text("".join(f"{line}\n" for line in lines))
    answer = decoding.answer(Mirror(), {"text": str(tmp_path / "text"), "beam": 1, "batch": 2})
    assert answer["targets"] == [f"{line}!" for line in lines]
    assert answer["seconds"] >= 0 and answer["peak"] > 10
    assert [len(batch) for batch in given] == [2, 2, 1]
    assert sum(given, []) == (lines if sorts else ["", "a", "b", "a b", "a b c"])


def test_length_penalties_rise_equally_at_a_common_length(script: Any) -> None:
    from toolkits.base import LENGTH, How

    def rise(score: Any) -> float:
        step = 1e-6
        return float((score(LENGTH + step) / score(LENGTH) - 1) / step)

    how = How(beam=5, batch=1, penalty=0.9)
    assert rise(lambda n: n**how.power) == pytest.approx(rise(lambda n: ((5 + n) / 6) ** how.penalty), abs=1e-4)
    assert How(beam=5, batch=1, penalty=0.0).power == 0


# 3. Our weights in other forms.


@pytest.fixture(scope="module")
def trained(script: Any) -> Any:
    from peers.weights import Trained

    torch.manual_seed(1)
    sizes = VocabularySizes(len(SYMBOLS), len(SYMBOLS), joint=True)
    shape: dict[str, Any] = {"heads": 2, "feedforward": 12}
    model = EncoderDecoder(
        sizes,
        embedding=EmbeddingOptions(size=8, tie="all"),
        encoder=lambda **given: TransformerEncoder(**given, **shape, layers=2),
        decoder=lambda **given: TransformerDecoder(**given, **shape, layers=1),
    )
    tensors = {}
    for name, parameter in model.named_parameters():  # a shared one has one name
        tensors[name] = torch.randn_like(parameter).numpy()
    return Trained(tensors, SYMBOLS, heads=2)


def written(toolkit: str, trained: Any, folder: Path) -> dict[str, np.ndarray]:
    from peers.weights import WRITERS

    WRITERS[toolkit](trained, folder)
    if (folder / "model.npz").exists():
        return dict(np.load(folder / "model.npz"))
    return load_file(next(folder.glob("*.safetensors")))


TABLES = {
    "fairseq": "encoder.embed_tokens.weight",
    "joeynmt": "src_embed.lut.weight",
    "eole": "src_emb.embeddings.weight",
    "hf": "model.shared.weight",
}


def symbols_of(toolkit: str, folder: Path) -> list[str]:
    """The rows of the table, as each toolkit numbers symbols."""
    if toolkit == "fairseq":  # whose dictionary begins like this
        lines = (folder / "dict.txt").read_text().splitlines()
        return ["<s>", "<pad>", "</s>", "<unk>", *(line.split()[0] for line in lines)]
    if toolkit == "joeynmt":
        return ["<unk>", "<pad>", "<s>", "</s>", *json.loads((folder / "symbols.json").read_text())]
    if toolkit == "eole":
        return json.loads((folder / "vocab.json").read_text())["src"]  # type: ignore[no-any-return]
    return [*json.loads((folder / "symbols.json").read_text()), "<pad>"]


@pytest.mark.parametrize("toolkit", TABLES)
def test_every_symbol_keeps_its_vector(toolkit: str, trained: Any, tmp_path: Path) -> None:
    table = written(toolkit, trained, tmp_path)[TABLES[toolkit]]
    symbols = symbols_of(toolkit, tmp_path)
    assert len(table) == len(symbols) == len(SYMBOLS) + 1
    for symbol, row in zip(symbols, table, strict=True):
        ours = trained.table[SYMBOLS.index(symbol)] if symbol in SYMBOLS else np.zeros(8)
        np.testing.assert_array_equal(row, ours, symbol)


@pytest.mark.parametrize("toolkit", TABLES)
def test_nothing_in_a_layer_is_lost_or_said_twice(toolkit: str, trained: Any, tmp_path: Path) -> None:
    tensors = written(toolkit, trained, tmp_path)
    in_layers = [array for name, array in tensors.items() if "layers." in name]
    ours = [array for name, array in trained.tensors.items() if ".layers." in name]
    numbers = [np.sort(np.concatenate([array.ravel() for array in arrays])) for arrays in (in_layers, ours)]
    np.testing.assert_array_equal(*numbers)


def test_keys_and_values_are_told_apart(trained: Any, tmp_path: Path) -> None:
    tensors = written("hf", trained, tmp_path)
    ours = trained.tensors["decoder.layers.0.attention.key_value.weight"]
    names = [f"model.decoder.layers.0.encoder_attn.{part}_proj.weight" for part in "kv"]
    np.testing.assert_array_equal(np.concatenate([tensors[name] for name in names]), ours)


@pytest.mark.parametrize("toolkit", ["fairseq", "joeynmt", "eole"])
def test_positions_are_ours(toolkit: str, trained: Any, tmp_path: Path) -> None:
    names = {
        "fairseq": "decoder.embed_positions.weight",
        "joeynmt": "decoder.pe.pe",
        "eole": "tgt_emb.pe.pe",
    }
    first = {"fairseq": 2}.get(toolkit, 0)  # it counts from padding's id + 1
    vectors = written(toolkit, trained, tmp_path)[names[toolkit]].reshape(-1, 8)
    np.testing.assert_array_equal(vectors[first : first + 20], trained.positions(20))


# 4. How they are started.


def test_a_toolkit_is_started_in_its_own_environment(script: Any, tmp_path: Path, monkeypatch: Any) -> None:
    from peers import decoders

    writes: list[Path] = []
    monkeypatch.setattr(decoders.Decoder, "_write", lambda self, model, folder: writes.append(folder))
    model = decoders.Model(tmp_path / "run", tmp_path / "work", tokenizers=None)
    decoder = decoders.Decoder("eole")
    words = decoder.command(model, tmp_path / "peers")
    folder = tmp_path / "work" / "eole"
    assert words == [
        str(tmp_path / "peers" / "eole" / "bin" / "python"),
        str(BENCHMARKS / "peers" / "decoding.py"),
        "eole",
        str(folder),
    ]
    assert decoder.command(model, tmp_path / "peers") == words and writes == [folder]  # and only once
    assert decoders.Decoder("seqloom").command(model, tmp_path / "peers")[0] == sys.executable


def test_recurrent_models_have_the_same_sizes(script: Any, tmp_path: Path) -> None:
    from peers import recurrent

    for toolkit, write in recurrent.WRITERS.items():
        (tmp_path / toolkit).mkdir()
        write(SYMBOLS, tmp_path / toolkit)
    joey = json.loads((tmp_path / "joeynmt" / "shape.json").read_text())["joeynmt"]
    ours = json.loads((tmp_path / "seqloom" / "recurrent.json").read_text())
    eole = load_file(tmp_path / "eole" / "model.00.safetensors")
    assert joey["decoder"]["hidden_size"] == ours["size"] == eole["generator.weight"].shape[1]
    assert joey["encoder"]["hidden_size"] == ours["direction"] == eole["encoder.rnn.weight_hh_l0_reverse"].shape[1]
    tables = (joey["encoder"]["embeddings"]["embedding_dim"], eole["src_emb.embeddings.weight"].shape[1])
    assert tables == (ours["embedding"],) * 2
