"""Agents without torch and without Gymnasium: what the checked recipe holds, how it is written out, and what changed in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from nnspec.checker import Report, check_path, check_source
from nnspec.diagnostics import Source
from nnspec.difference.recipes import compare_recipes
from nnspec.operators.acting import Gym, Replay
from nnspec.operators.declare import Refusal
from nnspec.recipes.recipe import Solved, Tracking
from nnspec.render.resolved_recipes import render_recipe

DQN = Path(__file__).resolve().parent.parent / "specs" / "q_agent" / "dqn.nn"


def changed(*pairs: tuple[str, str]) -> Report:
    text = DQN.read_text(encoding="utf-8")
    for before, after in pairs:
        assert before in text
        text = text.replace(before, after)
    report = check_source(Source("dqn.nn", text))
    assert report.ok, [str(each) for each in report.diagnostics]
    return report


def test_what_is_learned_and_what_is_decided() -> None:
    recipe = check_path(DQN).recipes["DoubleDuellingDQN"]
    acting = recipe.acting
    assert acting is not None
    assert isinstance(acting.environment.operator, Gym)
    assert isinstance(acting.memory.operator, Replay)
    assert {name: str(type_) for name, type_ in acting.memory.fields.items()} == {
        "state": "float32[N, 4]", "action": "index(2)[N]", "reward": "float32[N]", "next": "float32[N, 4]", "done": "float32[N]",
    }  # fmt: skip
    assert {entry.name for entry in recipe.training.inputs} == {f"past.{field}" for field in acting.memory.fields}
    assert [entry.name for entry in recipe.evaluation.inputs] == ["pole.observation"]
    assert str(recipe.evaluation.outputs["action"].type) == "index(2)[N]"
    assert len(recipe.evaluation.nodes) == 2  # the network and `argmax`: nothing of what is learned
    assert recipe.instances["target"].tracking == Tracking("q", 128)
    assert set(recipe.instances["target"].variants) == {"inference"}
    calls = {(node.operator.instance, node.operator.variant): node.operator.inference  # type: ignore[attr-defined]
             for node in recipe.training.nodes if node.operator.name == "network"}  # fmt: skip
    assert calls[("target", "inference")]
    assert [operator.inference for operator in _calls(recipe, "q")] == [True, False]  # what chooses, and what learns


def _calls(recipe: object, instance: str) -> list[object]:
    nodes = recipe.training.nodes  # type: ignore[attr-defined]
    return [node.operator for node in nodes if getattr(node.operator, "instance", "") == instance]


def test_written_out() -> None:
    report = changed(("keep_best mean_return", "solved mean_return(20) >= 450"), ("every=128", "decay=0.99"))
    text = render_recipe(report.recipes["DQN"])
    for line in (
        "agent DQN {", "layer target = track(q, decay=0.99)", "act argmax", "explore epsilon(rate=ramp(a=1.0, b=0.04, steps=8000",
        "solved mean_return(20) >= 450.0", "learn_every 256", "measure_every steps=2560",
    ):  # fmt: skip
        assert line in text, line
    assert 'environment pole = Gym("CartPole-v1")' in text


@pytest.mark.parametrize(
    ("before", "after", "statement"),
    [
        ('Gym("CartPole-v1")', 'Gym("CartPole-v1", max_episode_steps=300)', "environment pole"),
        ("ramp(1.0, 0.04, steps=8K)", "ramp(1.0, 0.04, steps=9K)", "explore"),
        ("every=128", "every=64", "network target"),
        ("capacity=100K", "capacity=50K", "data past"),
        ("  keep_best mean_return", "  solved mean_return(100) >= 475", "solved"),
        ("learn_every 256", "learn_every 128", "learn_every"),
    ],
)
def test_what_changed(before: str, after: str, statement: str) -> None:
    ours, theirs = check_path(DQN).recipes["DQN"], changed((before, after)).recipes["DQN"]
    found = compare_recipes(ours, theirs).statements
    assert any(each.what.startswith(statement) for each in found), [each.what for each in found]
    assert not compare_recipes(ours, check_path(DQN).recipes["DQN"]).differs


def test_settings_from_outside() -> None:
    settings = {"train.seed": "3", "train.measure_every": "100", "train.episodes": "7"}
    text = DQN.read_text(encoding="utf-8").replace("  measure_every steps = 2_560\n  keep_best mean_return\n", "")
    report = check_source(Source("dqn.nn", text), settings=settings)
    found = report.recipes["DQN"].settings
    assert (found["seed"], found["measure_every"], found["episodes"]) == (3, ("steps", 100), 7)


def test_solved() -> None:
    recipe = changed(("keep_best mean_return", "solved mean_return(20) >= 450")).recipes["DQN"]
    assert recipe.acting is not None
    solved = recipe.acting.solved
    assert solved == Solved(20, 450.0, solved.span if solved else recipe.span)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"id": "FrozenLake-v2"}, "no environment"), ({"id": "Own-v0"}, "`observation` and `actions`"),
        ({"id": "Own-v0", "actions": 2}, "so `observation` has"), ({"id": "a.b:Own-v0", "actions": 2}, "runs no code"),
        ({"id": "FrozenLake-v1", "map_name": "8x8", "observation": 16}, "is 64, and 16"),
    ],
)  # fmt: skip
def test_environments_that_are_refused(given: dict[str, object], message: str) -> None:
    with pytest.raises(Refusal, match=message):
        Gym({}, given).infer()
