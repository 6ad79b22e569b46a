"""From a directory to a translator, whatever the directory holds and whichever engine runs it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import seqloom
from seqloom import bundles, loading, runs
from seqloom.config.root import read_config
from seqloom.engines.auto import AutoEngine
from seqloom.engines.ctranslate2 import CTranslate2Engine
from seqloom.engines.native import NativeEngine
from seqloom.errors import CheckpointError, DataError, UsageError
from seqloom.exporting.ctranslate2 import export
from seqloom.registry import ConfigError

LINES = ["a b c", "d", "j i h g f", ""]
SMALL = "layers: 1, heads: 2, feedforward: 16, dropout: 0.0"
MODEL = (
    f"model={{class: EncoderDecoder, embedding: {{size: 16}}, encoder: {{class: TransformerEncoder, {SMALL}}}, "
    f"decoder: {{class: TransformerDecoder, {SMALL}}}}}"
)


@pytest.fixture(scope="module")
def trained(toy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a tiny Transformer with an export in float32; to be read, not changed."""
    run = tmp_path_factory.mktemp("runs") / "transformer"
    runs.train(read_config(toy / "toy.yml", [MODEL, "train.keep_best=loss"]), run)
    export(run, precision="float32", lines=20)
    return run


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "run"))


def texts(translator: seqloom.Translator) -> list[str]:
    return [translation.text for translation in translator.translate(LINES)]


def test_an_export_is_used_as_a_run_is(trained: Path) -> None:
    native = loading.load(trained, engine="native")
    assert isinstance(native.engine, NativeEngine)
    fast = seqloom.load(trained / "exports" / "ctranslate2-float32")
    assert isinstance(fast.engine, CTranslate2Engine)
    assert fast.options == native.options
    assert texts(fast) == texts(native)


def test_auto_takes_the_export_and_has_the_native_engine_behind_it(trained: Path) -> None:
    translator = loading.load(trained)
    assert isinstance(translator.engine, AutoEngine)
    assert isinstance(translator.engine.fast, CTranslate2Engine)
    assert texts(translator) == texts(loading.load(trained, engine="native"))
    assert isinstance(loading.load(trained, engine="ctranslate2").engine, CTranslate2Engine)


def test_what_the_export_can_not_do_is_done_in_batches(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    translator, native = loading.load(trained), loading.load(trained, engine="native")
    assert isinstance(translator.engine, AutoEngine) and isinstance(native.engine, NativeEngine)
    monkeypatch.setattr(translator.engine._other, "batch_tokens", lambda options: 8)
    sizes: list[int] = []
    search = NativeEngine.search
    monkeypatch.setattr(NativeEngine, "search", lambda *all: sizes.append(len(all[1])) or search(*all))
    sampled = replace(native.options.beam(1), sample=True)
    texts = [[one.text for one in each.translate(LINES * 3, sampled)] for each in (native, translator)]
    assert texts[0] == texts[1]
    whole, *parts = sizes
    assert max(parts) < whole == sum(parts)


@pytest.mark.parametrize("engine", loading.ENGINES)
def test_a_run_searches_as_its_configuration_says_now(run: Path, engine: str) -> None:
    config = run / "config.yml"
    text = config.read_text("utf8")
    assert "  max_length:\n" in text
    config.write_text(text.replace("  max_length:\n", "  max_length: 3\n"), "utf8")
    translator = loading.load(run, engine=engine)
    assert translator.options == read_config(config).search
    assert max(len(one.alternatives[0].tokens) for one in translator.translate(LINES) if one.alternatives) == 2
    assert loading.load(run / "exports" / "ctranslate2-float32").options.max_length is None


@pytest.mark.parametrize("engine", loading.ENGINES)
def test_a_mistake_in_the_runs_options_is_named_whatever_the_engine(run: Path, engine: str) -> None:
    config = run / "config.yml"
    config.write_text(config.read_text("utf8").replace("  max_length:\n", "  max_lenght: 3\n"), "utf8")
    with pytest.raises(ConfigError, match=r"config.yml:\d+:3: .*search has no such key; did you mean 'max_length'"):
        loading.load(run, engine=engine)


def test_auto_leaves_an_export_of_other_weights_alone(run: Path) -> None:
    manifest = bundles.Manifest.read(run / "exports" / "ctranslate2-float32")
    assert isinstance(loading.load(run, checkpoint=20).engine, NativeEngine)
    shutil.rmtree(run / "exports")
    assert isinstance(loading.load(run).engine, NativeEngine)
    assert manifest.weights == runs.Trained.read(run, "best").weights


def test_auto_goes_on_without_a_damaged_export(run: Path, caplog: pytest.LogCaptureFixture) -> None:
    place = run / "exports" / "ctranslate2-float32"
    data = bytearray((place / "model.bin").read_bytes())
    data[-1000] ^= 1
    (place / "model.bin").write_bytes(data)
    assert isinstance(loading.load(run).engine, NativeEngine)
    damage = f"{place} is damaged: model.bin doesn't have the SHA-256 of its manifest"
    assert f"{damage}; going on without it." in caplog.messages
    with pytest.raises(CheckpointError) as caught:
        loading.load(run, engine="ctranslate2")
    assert str(caught.value) == damage


def unproven(export: Path, name: str, proof: dict[str, object] | None) -> Path:
    """A copy of an export beside it, with this for a proof."""
    other = Path(shutil.copytree(export, export.with_name(name)))
    replace(bundles.Manifest.read(export), proof=proof).write(other)
    return other


@pytest.mark.parametrize(
    ("proof", "complaint"),
    [(None, "it was never compared with its run"), ({"complaint": "3 of 9 tokens agree"}, "3 of 9 tokens agree")],
)
def test_an_export_that_is_not_proven_translates_last_and_says_so(
    run: Path, caplog: pytest.LogCaptureFixture, proof: dict[str, object] | None, complaint: str
) -> None:
    proven = run / "exports" / "ctranslate2-float32"
    faster = unproven(proven, "ctranslate2-int8", proof)
    loaded = (loading.load(run, engine="ctranslate2"), loading.load(faster))
    for engine, place in zip((one.engine for one in loaded), (proven, faster), strict=True):
        assert isinstance(engine, CTranslate2Engine) and engine.exported.directory == place
    assert not caplog.messages
    shutil.rmtree(proven)
    engine = loading.load(run, engine="ctranslate2").engine
    assert isinstance(engine, CTranslate2Engine) and engine.exported.directory == faster
    assert caplog.messages == [f"{faster} translates, but is not proven: {complaint}."]


@pytest.mark.parametrize("change", [{"search": {"beam_sise": 3}}, {"proof": {}}, {"proof": 3}], ids=str)
def test_a_manifest_that_can_not_be_meant_is_damage(run: Path, change: dict[str, object]) -> None:
    place = run / "exports" / "ctranslate2-float32"
    said = json.loads((place / "manifest.json").read_bytes())
    (place / "manifest.json").write_text(json.dumps(said | change), "utf8")
    with pytest.raises(CheckpointError) as caught:
        loading.load(place)
    assert str(caught.value) == f"{place / 'manifest.json'} is damaged: it does not describe an export"


def test_auto_goes_on_where_an_export_does_not_say_what_it_is(run: Path, caplog: pytest.LogCaptureFixture) -> None:
    manifest = run / "exports" / "ctranslate2-float32" / "manifest.json"
    manifest.write_text("{", "utf8")
    assert isinstance(loading.load(run).engine, NativeEngine)
    assert f"{manifest} is damaged: it does not describe an export; going on without it." in caplog.messages


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"engine": "fast"}, "engine must be one of auto, native, ctranslate2, got 'fast'"),
        ({"precision": "int8"}, "precision must be one of float32, bfloat16, got 'int8'"),
        (
            {"precision": "bfloat16", "engine": "ctranslate2"},
            "precision is for the native engine; an export for ctranslate2 has that of its --precision",
        ),
        (
            {"engine": "ctranslate2", "ensemble": ["other"]},
            "an ensemble needs the native engine, got engine ctranslate2",
        ),
        (
            {"engine": "ctranslate2", "checkpoint": 20},
            "{run} has no export of these weights for the engine ctranslate2; make one: "
            "seqloom export {run} --to ctranslate2",
        ),
    ],
)
def test_what_cant_be_had_is_said(trained: Path, arguments: dict[str, object], sentence: str) -> None:
    with pytest.raises(UsageError) as caught:
        loading.load(trained, **arguments)  # type: ignore[arg-type]
    assert str(caught.value) == sentence.format(run=trained)


def test_a_precision_is_the_native_engines(trained: Path) -> None:
    near, exact = (loading.load(trained, precision=precision) for precision in ("bfloat16", "float32"))
    assert isinstance(near.engine, NativeEngine) and isinstance(exact.engine, NativeEngine)
    pairs = [(line, "a b") for line in LINES[:3]]
    said = [[one.log_prob for one in translator.score(pairs)] for translator in (near, exact)]
    assert said[0] != said[1]
    assert said[0] == pytest.approx(said[1], abs=0.3)


def test_an_export_is_no_run(trained: Path) -> None:
    place = trained / "exports" / "ctranslate2-float32"
    with pytest.raises(UsageError) as caught:
        loading.load(place, engine="native")
    assert (
        str(caught.value) == f"{place} is an export for ctranslate2, so it can't run on the engine native; name the run"
    )
    with pytest.raises(UsageError) as caught:
        loading.load(place, ensemble=[trained])
    assert str(caught.value) == f"{place} is an export, and an ensemble is of runs"
    for wants_run in (lambda: loading.load(trained, ensemble=[place]), lambda: export(place)):
        with pytest.raises(CheckpointError) as refused:
            wants_run()
        assert str(refused.value) == f"{place} is an export, and this wants the run that it was made of"


@pytest.mark.parametrize("engine", loading.ENGINES)
def test_an_export_without_its_manifest_is_no_run_without_checkpoints(run: Path, engine: str) -> None:
    place = run / "exports" / "ctranslate2-float32"
    (place / "manifest.json").unlink()
    with pytest.raises(CheckpointError) as caught:
        loading.load(place, engine=engine)
    assert str(caught.value) == f"{place} is a damaged export: it has no manifest.json; export the run again"


def test_a_run_of_an_ensemble_that_holds_another_model_is_named(trained: Path, run: Path) -> None:
    config = run / "config.yml"
    config.write_text(config.read_text("utf8").replace("size: 16", "size: 8"), "utf8")
    with pytest.raises(CheckpointError, match=f"^{run} can't be loaded: the checkpoint holds another model: "):
        loading.load(trained, ensemble=[run])


def test_an_export_without_validation_data_says_how_to_do_without(run: Path, toy: Path) -> None:
    config = run / "config.yml"
    config.write_text(config.read_text("utf8").replace("valid.source", "gone.source"), "utf8")
    with pytest.raises(DataError) as caught:
        export(run, precision="float32")
    assert str(caught.value).startswith(f"{toy / 'gone.source'}: no such file")
    assert "leave the comparison out: --prove-lines 0" in str(caught.value)
    assert export(run, precision="float32", lines=0)[1] is None


@pytest.mark.parametrize("parent", ["/proc", "file"])
def test_a_place_where_no_export_can_be_made_is_named_itself(run: Path, tmp_path: Path, parent: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match=f"^{tmp_path / parent / 'x'} can't be made: "):
        export(run, tmp_path / parent / "x", precision="float32", lines=0)


def test_an_export_is_replaced_and_nothing_else_is(run: Path, tmp_path: Path) -> None:
    place = run / "exports" / "ctranslate2-float32"
    before = (place / "manifest.json").read_bytes()
    assert export(run, precision="float32", lines=20)[0] == place
    assert json.loads(before)["files"] == json.loads((place / "manifest.json").read_bytes())["files"]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    with pytest.raises(UsageError) as caught:
        export(run, tmp_path / "mine")
    assert str(caught.value) == f"{tmp_path / 'mine'} holds something else than an export; choose another directory"
    assert not list(tmp_path.glob(".new*"))


PLAIN = """
import sys
from seqloom.cli import main
sys.argv = ["seqloom", *sys.argv[1:]]
try:
    main()
finally:
    slow = {"torch", "sacrebleu", "ruamel.yaml", "rich", "pydantic", "importlib.metadata", "seqloom.cli.train"}
    print(sorted(slow & {*sys.modules}), file=sys.stderr)
"""


@pytest.mark.parametrize("arguments", [[], ["--interactive"], ["--json", "--n-best", "2"]])
def test_translating_with_an_export_imports_nothing_slow(trained: Path, arguments: list[str]) -> None:
    """PyTorch's import alone takes longer than the first line may."""
    command = [sys.executable, "-c", PLAIN, "translate", str(trained / "exports" / "ctranslate2-float32"), *arguments]
    done = subprocess.run(command, input="a b c\n", capture_output=True, text=True, env=os.environ, check=True)
    assert done.stdout.count("\n") == 1
    assert done.stderr == "[]\n"


def slow_imports(run: Path) -> str:
    """What translating a line with a run imports of what is slow."""
    command = [sys.executable, "-c", PLAIN, "translate", str(run)]
    return subprocess.run(command, input="a b c\n", capture_output=True, text=True, check=True).stderr


def test_auto_imports_nothing_slow_where_the_export_will_do(trained: Path) -> None:
    assert slow_imports(trained) == "[]\n"


def test_options_that_changed_since_the_export_are_read_without_pytorch(run: Path) -> None:
    config = run / "config.yml"
    config.write_text(config.read_text("utf8").replace("  max_length:\n", "  max_length: 3\n"), "utf8")
    assert slow_imports(run) == "['ruamel.yaml']\n"
