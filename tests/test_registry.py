import sys
from pathlib import Path

import pytest

from seqloom import registry
from seqloom.errors import UsageError
from seqloom.registry import ConfigError, Problem, known, name_of, register, resolve, suggest


class Instrument:
    pass


class Song:
    pass


@register("fiddle")
class ToyViolin(Instrument):
    pass


@register()
class ToyCello(Instrument):
    pass


@register()
class ToyBallad(Song):
    pass


class Unregistered(Instrument):
    pass


@pytest.mark.parametrize("name", ["ToyViolin", "fiddle", f"{__name__}.ToyViolin"])
def test_a_class_goes_by_its_name_its_path_and_its_aliases(name: str) -> None:
    assert resolve(name, Instrument) is ToyViolin


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("ToyViolon", "no Instrument is named 'ToyViolon'; did you mean 'ToyViolin'?"),
        ("oboe", "no Instrument is named 'oboe'; known: ToyCello, ToyViolin"),
        ("ToyBallad", "'ToyBallad' is not an Instrument; known: ToyCello, ToyViolin"),
        (
            "os.system",
            "'os.system' is not an Instrument; known: ToyCello, ToyViolin; list modules of your own in SEQLOOM_PLUGINS",
        ),
    ],
)
def test_another_name_gets_a_sentence(name: str, sentence: str) -> None:
    with pytest.raises(LookupError) as error:
        resolve(name, Instrument)
    assert str(error.value) == sentence


def test_naming_a_module_does_not_import_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "toy_trap.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(LookupError):
        resolve("toy_trap.Lute", Instrument)
    assert "toy_trap" not in sys.modules


def test_a_module_that_the_user_lists_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "toy_plugin.py").write_text(
        f"from {__name__} import Instrument\nclass ToyLute(Instrument): pass\nclass Chair: pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sys.modules, __name__, sys.modules[__name__])
    monkeypatch.setenv("SEQLOOM_PLUGINS", " toy_plugin, ")
    assert resolve("toy_plugin.ToyLute", Instrument).__name__ == "ToyLute"
    assert name_of(resolve("toy_plugin.ToyLute", Instrument)) == "toy_plugin.ToyLute"
    with pytest.raises(LookupError, match="^'toy_plugin.Chair' is not an Instrument; known: ToyCello, ToyViolin$"):
        resolve("toy_plugin.Chair", Instrument)


def test_a_listed_module_that_is_not_there_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEQLOOM_PLUGINS", "toy_missing")
    with pytest.raises(UsageError) as error:
        resolve("toy_missing.Lute", Instrument)
    assert str(error.value) == (
        "SEQLOOM_PLUGINS: the module 'toy_missing' can't be imported: No module named 'toy_missing'"
    )


def test_known_lists_the_registered_subclasses() -> None:
    assert known(Instrument) == [ToyCello, ToyViolin]


def test_a_name_stands_for_one_class_only() -> None:
    with pytest.raises(ValueError, match=r"^'fiddle' already names .*ToyViolin$"):
        register("fiddle")(Unregistered)
    assert Unregistered not in known(Instrument), "a refused class leaves no name behind"
    register("fiddle")(ToyViolin)  # again is no clash


def test_the_name_to_write_is_the_one_that_leads_back() -> None:
    assert name_of(ToyCello) == "ToyCello"
    assert name_of(Unregistered) == f"{__name__}.Unregistered"


def test_suggestions() -> None:
    assert suggest("sise", ["size", "layers"]) == "; did you mean 'size'?"
    assert suggest("zzz", ["size", "layers"]) == "; known: layers, size"
    assert suggest("zzz", []) == ""


def test_problems_are_listed_in_the_order_of_the_file() -> None:
    lines = {("b",): "f.yml:10:1", ("a", 0): "f.yml:9:1"}
    problems = [Problem(("b",), "late"), Problem(("a", 0), "early"), Problem(("b",), "late")]
    error = ConfigError(problems, lambda place, kind: lines[place])
    assert str(error) == "f.yml:9:1: a.0: early\nf.yml:10:1: b: late"
    assert error.problems == (Problem(("b",), "late"), Problem(("a", 0), "early")) and error.exit_code == 2
    assert str(ConfigError([Problem((), "no place")])) == "no place"


def test_this_module_is_the_stdlib_and_errors_only() -> None:
    source = Path(registry.__file__).read_text()
    assert "torch" not in source and "pydantic" not in source
