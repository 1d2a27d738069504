"""Agents: their environments, what they keep, when they stop, and that a run goes on bit for bit where it was stopped."""

from __future__ import annotations

import inspect
import json
import re
import signal
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy
import pytest
import torch
from agent_specs import WALK, Walk, register, replay, table
from training_specs import Listener, checked, hear, log, weights

from nnspec.cli import main
from nnspec.errors import MissingExtra
from nnspec.operators.acting import ENVIRONMENTS, Gym
from nnspec.torch_backend.recipes import lower_recipe
from nnspec.training import (
    AgentResult,
    CheckpointError,
    Interrupted,
    RunError,
    Silent,
    TrainingError,
    checkpoint,
    evaluate,
    predict,
    train,
)
from nnspec.training.acting import Actor
from nnspec.training.memory import LastTransition, ReplayMemory
from nnspec.training.tracking import Followers
from nnspec.training.world import World, episode_seed, stream

pytestmark = pytest.mark.torch


@pytest.fixture(autouse=True)
def walk() -> None:
    register()


def gym(**settings: Any) -> Gym:
    operator = Gym({}, settings)
    operator.infer()
    return operator


def run(folder: Path, text: str, **settings: Any) -> AgentResult:
    result = train(checked(folder, text, **settings), device="cpu", out=folder / "runs")
    assert isinstance(result, AgentResult)
    return result


# --- environments -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_types_are_gymnasiums(name: str) -> None:
    world = World(gym(id=name))  # which holds the spaces against the declared ones
    assert set(ENVIRONMENTS[name].settings) <= set(inspect.signature(type(world.environment.unwrapped).__init__).parameters)
    fields = gym(id=name).fields_of(1)
    for number in range(20):
        observation = world.reset(episode_seed(0, 0, number))
        seen = numpy.asarray(observation)
        classes = fields["observation"].classes
        assert seen.shape == fields["observation"].dims[1:]
        assert classes is None or 0 <= observation < classes  # type: ignore[operator]
    world.close()


def test_all_environments_with_a_number_of_actions_are_known() -> None:
    """Those of classic control and toy text; the others need more packages, or have other spaces."""
    modules = ("gymnasium.envs.classic_control", "gymnasium.envs.toy_text")
    for name, spec in gymnasium.registry.items():
        if str(spec.entry_point).startswith(modules):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of older versions
                space = gymnasium.make(name).action_space
            assert (name in ENVIRONMENTS) == isinstance(space, gymnasium.spaces.Discrete), name


@pytest.mark.parametrize("map_name", ["4x4", "8x8"])
def test_settings_are_passed_on(map_name: str) -> None:
    world = World(gym(id="FrozenLake-v1", map_name=map_name, is_slippery=False, max_episode_steps=7))
    assert world.environment.spec.max_episode_steps == 7
    world.reset(0)
    assert world.step(2)[0] == 1  # to the right, and surely so


@pytest.mark.parametrize(
    ("kind", "observation", "first"), [("place", 5, range(3)), ("two", 10, range(5, 8)), ("tuple", 10, range(5, 8))]
)
def test_kinds_are_counted(kind: str, observation: int, first: range) -> None:
    name = register(f"nnspec/{kind}-v0", kind=kind, first=4)
    world = World(gym(id=name, observation=observation, actions=2))
    assert {world.reset(seed) for seed in range(20)} == set(first)
    before = world.reset(3)
    assert world.step(1)[0] == before + 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"observation": [3], "actions": 2}, r"shows is Box.*says float32\[3\]"),
        ({"observation": 5, "actions": 2}, r"shows is Box.*says 5 kinds"),
        ({"observation": [2], "actions": 3}, r"actions .* Discrete\(2\), and the spec says that there are 3"),
    ],
)
def test_wrong_declarations(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        World(gym(id=WALK, **settings))


def test_observations_that_no_tensor_holds() -> None:
    with pytest.raises(TrainingError, match="shows is Dict"):
        World(gym(id=register("nnspec/dictionary-v0", kind="dictionary"), observation=5, actions=2))


def test_environments_that_are_not_there(tmp_path: Path) -> None:
    text = replay().replace(WALK, "Nowhere-v3")
    with pytest.raises(TrainingError, match=r'"Nowhere-v3" cannot be made: .*Nowhere'):
        run(tmp_path, text)
    assert not (tmp_path / "runs").exists()


def test_environments_that_fail(tmp_path: Path) -> None:
    name = register("nnspec/failing-v0", fails=True)
    with pytest.raises(TrainingError, match="ZeroDivisionError: no way on"):
        run(tmp_path, replay().replace(WALK, name))


def test_without_gymnasium(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    with pytest.raises(MissingExtra, match=re.escape("nnspec[agents]")):
        run(tmp_path, table())
    assert main(["train", str(tmp_path / "model.nn"), "--output", str(tmp_path / "runs")]) == 2
    assert "nnspec[agents]" in capsys.readouterr().err
    assert main(["check", str(tmp_path / "model.nn")]) == 0


# --- what is kept -----------------------------------------------------------------------------------------------------------


def test_the_oldest_is_overwritten(tmp_path: Path) -> None:
    acting = next(iter(checked(tmp_path, replay()).recipes.values())).acting
    assert acting is not None
    memory = ReplayMemory(acting.memory, 8, stream(0, 1))
    for step in range(70):
        assert memory.ready == (step >= 20)
        memory.add([step, 0], step % 2, float(step), [step + 1, 0], step == 69)
    assert sorted(memory.fields["reward"]) == list(range(10, 70))
    drawn = [memory.take() for _ in range(200)]
    assert {float(each) for batch in drawn for each in batch["past.reward"]} == set(range(10, 70))
    for batch in drawn:
        assert batch["past.state"].dtype == torch.float32
        assert batch["past.action"].dtype == torch.int64
        assert torch.equal(batch["past.next"][:, 0], batch["past.state"][:, 0] + 1)
        assert torch.equal(batch["past.done"], (batch["past.reward"] == 69).float())


def test_done_is_not_cut_off(tmp_path: Path) -> None:
    """What would have followed still counts where an episode was only cut off by its limit of steps."""
    seen: list[tuple[float, bool]] = []

    class Watched(ReplayMemory):
        def add(self, state: Any, action: int, reward: float, following: Any, done: bool) -> None:
            seen.append((reward, done))
            super().add(state, action, reward, following, done)

    report = checked(tmp_path, replay())
    recipe = next(iter(report.recipes.values()))
    assert recipe.acting is not None
    actor = Actor(report, recipe, recipe.acting, torch.device("cpu"), Silent())
    actor.memory = Watched(recipe.acting.memory, 8, stream(0, 1))
    for _ in range(150):
        actor._one_step()
    assert all(done == (reward == 1) for reward, done in seen)
    assert 12 in actor.lengths
    assert len(actor.returns) > sum(done for _, done in seen) > 0


def test_the_last_step_alone(tmp_path: Path) -> None:
    recipe = next(iter(checked(tmp_path, table("pick(q(now.next), now.next_action)")).recipes.values()))
    assert recipe.acting is not None
    memory = LastTransition(recipe.acting.memory)
    memory.add(3, 1, 0.5, 4, True)
    memory.add_next_action(2)
    found = {name: tensor.tolist() for name, tensor in memory.take().items()}
    assert found == {
        "now.state": [3], "now.action": [1], "now.reward": [0.5], "now.next": [4], "now.done": [1.0], "now.next_action": [2],
    }  # fmt: skip


# --- copies -----------------------------------------------------------------------------------------------------------------

NORMED = """
network Q {
  input state: float32[N, 2]
  output q: float32[N, 2] = state -> Linear(3) -> BatchNorm1d -> Linear(2)
}
agent Walker {
  environment way = Gym("nnspec/Walk-v0", observation=[2], actions=2)
  layer target = track(Q, TRACK)
  act       argmax(Q(way.observation), dim=1)
  data past = Replay(capacity=60)
  minimize  mse_loss(Q(past.state), target(past.next))
  optimizer SGD(lr=0.1)
  batch_size 8
  steps 5
}
"""


@pytest.mark.parametrize(("track", "share"), [("every=3", 0.0), ("decay=0.75", 0.75)])
def test_copies_follow(tmp_path: Path, track: str, share: float) -> None:
    recipe = next(iter(checked(tmp_path, NORMED.replace("TRACK", track)).recipes.values()))
    module = lower_recipe(recipe, seed=0)
    q, target = module.instances["Q"], module.instances["target"]
    assert all(torch.equal(value, q.state_dict()[name]) for name, value in target.state_dict().items())
    assert not any(parameter.requires_grad for parameter in target.parameters())
    followers = Followers(recipe, module)
    before = {name: value.clone() for name, value in target.state_dict().items()}
    with torch.no_grad():
        for value in q.state_dict().values():
            value.add_(1)
    for updates in (1, 2, 3):
        followers.refresh(updates)
        for name, value in target.state_dict().items():
            wanted = q.state_dict()[name]
            if not value.is_floating_point():
                assert torch.equal(value, wanted if share or updates == 3 else before[name])
            elif share:
                torch.testing.assert_close(value, wanted - share**updates)
            else:
                assert torch.equal(value, wanted if updates == 3 else before[name])


def test_no_gradient_comes_to_a_copy(tmp_path: Path) -> None:
    recipe = next(iter(checked(tmp_path, NORMED.replace("TRACK", "every=3")).recipes.values()))
    module = lower_recipe(recipe, seed=0).train()
    batch = {entry.name: torch.randn(8, 2) for entry in recipe.training.inputs}
    torch.autograd.backward(module.compute_training(batch)["loss"])
    assert all(parameter.grad is None for parameter in module.instances["target"].parameters())
    assert all(parameter.grad is not None for parameter in module.instances["Q"].parameters())
    assert int(module.instances["target"].state_dict()["q.1.num_batches_tracked"]) == 0  # in inference mode


# --- stopping and going on --------------------------------------------------------------------------------------------------

AGENTS = {
    "replay": replay("measure_every steps=40\n  measure_episodes 3\n  keep_best mean_return"),
    "decay": replay(track="decay=0.9", dropout="0.3", settings="learn_every 3\n  clip_grad_norm 1.0"),
    "q_learning": table(settings="measure_every episodes=7\n  measure_episodes 2"),
    "sarsa": table("pick(q(now.next), now.next_action)"),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], AgentResult]:
    """Runs that nobody stopped."""
    found: dict[str, AgentResult] = {}

    def get(name: str) -> AgentResult:
        register()
        if name not in found:
            found[name] = run(tmp_path_factory.mktemp(name), AGENTS[name])
        return found[name]

    return get


def stopped(folder: Path, text: str, step: int, monkeypatch: pytest.MonkeyPatch, number: int = signal.SIGTERM) -> Path:
    """A run that a signal stops at a step."""
    original, calls = World.step, iter(range(1, 10**6))

    def counted(self: World, action: int) -> Any:
        if next(calls) == step:
            hear(number)
        return original(self, action)

    with monkeypatch.context() as patched:
        patched.setattr(World, "step", counted)
        with pytest.raises(Interrupted) as found:
            run(folder, text)
    assert found.value.number == number
    return found.value.run


def same(ours: Path, theirs: Path) -> None:
    found, expected = weights(ours), weights(theirs)
    assert found.keys() == expected.keys()
    assert [name for name in found if not torch.equal(found[name], expected[name])] == []
    assert log(ours) == log(theirs)
    manifests = [json.loads((each / "manifest.json").read_text()) for each in (ours, theirs)]
    assert manifests[0]["final"] == manifests[1]["final"]
    assert manifests[0].get("best") == manifests[1].get("best")


@pytest.mark.parametrize("name", AGENTS)
@pytest.mark.parametrize("step", [9, 61, 118])
def test_going_on_is_bit_equal(
    tmp_path: Path, name: str, step: int, whole: Callable[[str], AgentResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = stopped(tmp_path, AGENTS[name], step, monkeypatch)
    result = train(checked(tmp_path, AGENTS[name]), device="cpu", out=tmp_path / "runs", resume=folder)
    assert isinstance(result, AgentResult)
    same(result.run, whole(name).run)
    assert result.final == whole(name).final


def test_two_runs_are_one(tmp_path: Path, whole: Callable[[str], AgentResult]) -> None:
    same(run(tmp_path, AGENTS["replay"]).run, whole("replay").run)
    other = run(tmp_path, AGENTS["replay"], seed=1)
    assert not torch.equal(weights(other.run)["memory/state"], weights(whole("replay").run)["memory/state"])


def test_an_environment_that_does_not_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = replay().replace(WALK, register("nnspec/forgetful-v0", forgetful=True))
    folder = stopped(tmp_path, text, 61, monkeypatch)
    told = Listener()
    train(checked(tmp_path, text), device="cpu", out=tmp_path / "runs", resume=folder, progress=told)
    assert any("at the beginning of an episode" in each for each in told.messages)
    assert Walk.count


def test_a_checkpoint_of_another_agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = stopped(tmp_path, AGENTS["replay"], 61, monkeypatch)
    other = checked(tmp_path, AGENTS["replay"].replace("Linear(8)", "Linear(9)"))
    with pytest.raises(CheckpointError):
        train(other, device="cpu", out=tmp_path / "runs", resume=folder)


# --- the end ----------------------------------------------------------------------------------------------------------------


def test_solved_ends_it(tmp_path: Path) -> None:
    result = run(tmp_path, replay("solved mean_return(5) >= 0.8").replace("steps 150", "steps 3000"))
    assert result.steps < 3000
    returns = weights(result.run)["episodes/returns"]
    assert returns[-5:].mean() >= 0.8
    assert all(returns[end - 5 : end].mean() < 0.8 for end in range(5, len(returns)))


def test_the_best_is_kept(tmp_path: Path, whole: Callable[[str], AgentResult]) -> None:
    result = whole("replay")
    measured = [line["measured_return"] for line in result.history]
    best = max(line["step"] for line in result.history if line["measured_return"] == max(measured))
    manifest = json.loads((result.run / "manifest.json").read_text())
    assert manifest["best"] == f"step_{best}"
    assert checkpoint.load(result.run / "checkpoints", f"step_{best}").state["step"] == best
    assert evaluate(result.run) == result.final
    fewer = evaluate(result.run, episodes=7)
    assert fewer.returns == result.final.returns[:7]  # type: ignore[union-attr]


@pytest.mark.pictures
def test_what_is_written(tmp_path: Path) -> None:
    register()
    result = run(tmp_path, AGENTS["q_learning"])
    assert len(result.final.returns) == 100
    assert result.curve is not None
    assert result.curve.stat().st_size > 5_000
    assert result.policy is not None
    assert result.policy.stat().st_size > 2_000
    lines = [json.loads(line) for line in (result.run / "metrics.jsonl").read_text().splitlines()]
    assert [line["episode"] for line in lines] == [7, 14, 21, 28, 30]
    assert {"step", "mean_return", "loss", "epsilon", "lr", "measured_return", "seconds"} <= lines[0].keys()
    manifest = json.loads((result.run / "manifest.json").read_text())
    assert manifest["status"] == "finished"
    assert manifest["sessions"][0]["environment"]["gymnasium"] == gymnasium.__version__
    assert manifest["final"]["mean_return"] == result.final.mean


def test_endless_episodes_are_cut_off(tmp_path: Path) -> None:
    """Before anything is learned, the table sends the agent into the wall of the cliff for ever."""
    result = run(
        tmp_path, table().replace('"FrozenLake-v1", is_slippery=true', '"CliffWalking-v1"').replace("episodes 30", "steps 1")
    )
    assert result.final.cut_off == 100
    assert result.final.notes == ("100 of 100 episodes had no end and were cut off after 1,000 steps",)


def test_a_loss_that_is_no_number(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"the loss is .*lower the learning rate"):
        run(tmp_path, table(settings="").replace("lr=0.5", "lr=1e30").replace("0.9 * (1", "9 + 0.9 * (1"))


def test_runs_of_agents_and_others(tmp_path: Path, whole: Callable[[str], AgentResult]) -> None:
    with pytest.raises(RunError, match="no parts of data"):
        evaluate(whole("sarsa").run, "test")
    numpy.save(tmp_path / "states.npy", numpy.arange(16))
    found = predict(whole("sarsa").run, tmp_path / "states.npy")["q"]
    assert torch.equal(found, weights(whole("sarsa").run)["network.q/q.weight"])


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checked(tmp_path, AGENTS["q_learning"])
    assert main(["train", str(tmp_path / "model.nn"), "--output", str(tmp_path / "runs"), "--set", "train.episodes=8"]) == 0
    out, told = capsys.readouterr()
    assert re.search(r"8 episodes in .* s\n100 episodes, not exploring: mean return [\d.]+ \(std", out)
    assert "agent Lake: 8 episodes" in told
    assert "measured_return" in told
    folder = re.search(r"run: (.*)", out)
    assert folder is not None
    assert main(["evaluate", folder[1], "--episodes", "3", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["episodes"] == len(found["returns"]) == 3
    assert main(["evaluate", folder[1], "--split", "test"]) == 2
