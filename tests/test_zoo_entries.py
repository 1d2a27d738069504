"""What `make zoo` trains is what `specs/` holds: every recipe, by a figure that it measures."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

import pytest
from spec_files import ROOT

from nnspec.checker import check_path

#: Recipes that `make zoo` does not train, and why.
LEFT_OUT = {
    "cnn/color_cnn:ColorCNN": "its pictures are one's own",
    "cnn/simple_cnn:Digits": "what `make demo` trains",
    "rnn/forecaster:NLinear": "to compare with",
}


def entries() -> ModuleType:
    name = "zoo_entries"
    spec = importlib.util.spec_from_file_location(name, ROOT / "benchmarks" / "zoo" / "entries.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


ENTRIES = {entry.key: entry for entry in entries().ENTRIES}


def test_every_recipe_is_trained() -> None:
    specs = sorted(path for path in (ROOT / "specs").glob("*/*.nn"))
    recipes = {f"{path.parent.name}/{path.stem}:{name}" for path in specs for name in check_path(path).recipes}
    assert recipes == {*ENTRIES, *LEFT_OUT}


@pytest.mark.parametrize("key", ENTRIES)
def test_it_is_judged_by_what_it_measures(key: str) -> None:
    entry = ENTRIES[key]
    recipe = check_path(ROOT / "specs" / f"{entry.spec}.nn").recipes[entry.recipe]
    # Which way is better is known of metrics, and not of expressions.
    figures = {each.name: each.lower_is_better if each.operator else entry.lower_is_better for each in recipe.metrics}
    if recipe.acting is not None:
        figures = {"mean_return": False}
    elif not recipe.steps[0].name:
        figures["loss"] = True
    else:
        figures["judged"] = False
    assert entry.figure in figures
    assert entry.lower_is_better == figures[entry.figure]
    assert {name.removeprefix("train.") for name in entry.quick.settings} <= {"steps", "epochs"}


@pytest.mark.parametrize("key", [key for key, each in ENTRIES.items() if each.pictures])
def test_the_page_of_a_family_shows_its_pictures(key: str) -> None:
    folder = (ROOT / "specs" / ENTRIES[key].spec).parent
    page = (folder / "README.md").read_text(encoding="utf-8")
    for name in ENTRIES[key].pictures.values():
        assert (folder / name).is_file(), name
        assert f"({name})" in page, name
