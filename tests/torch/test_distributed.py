"""Several processes train what one trains, by DDP and by FSDP2, and go on with what the other left. One start of two processes serves all."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from distributed_runs import ROOT, Ended, Job, train_together
from not_finite import injected
from test_training_resume import interrupted
from training_specs import checked, digits, log, trained, weights

from nnspec.training import RunFolder, evaluate, train

pytestmark = [pytest.mark.torch, pytest.mark.slow, pytest.mark.nightly]

CONVOLUTION = "Conv2d(4, 3) -> BatchNorm2d -> ReLU -> Flatten -> Linear(16)"
#: Two steps that update one after the other; nothing is drawn.
STEPS = """
network Coder { input image: float32[N, 64]; output code: float32[N, 8] = image -> Linear(32) -> ReLU -> Linear(8) }
network Maker { input code: float32[N, 8]; output image: float32[N, 64] = code -> Linear(64) }
network Judge { input code: float32[N, 8]; output logits: float32[N, 10] = code -> Linear(10) }
train Both {
  data digits = Digits(validation=0.1, test=0.7)
  real = flatten(digits.image, 1)
  step judge {
    minimize cross_entropy(Judge(detach(Coder(real))), digits.label)
    update Judge
  }
  step coder(every=2) {
    code = Coder(real)
    minimize mse_loss(Maker(code), real) + 0.1 * cross_entropy(Judge(code), digits.label)
    update Coder, Maker
  }
  measure accuracy(Judge(Coder(real)), digits.label)
  optimizer SGD(lr=0.05, momentum=0.9)
  clip_grad_norm 1.0
  batch_size 32
  epochs 3
}
"""
#: A network that no loss leads back to.
OTHER = "network Other { input image: float32[N, 1, 8, 8]; output y: float32[N, 3] = image -> Flatten -> Linear(3) }"
#: A value that is computed before both steps, and goes into the losses of both.
IN_BOTH = """
network Maker { input x: float32[N, 64]; output y: float32[N, 64] = x -> Linear(32) -> ReLU -> Linear(64) }
network Judge { input x: float32[N, 64]; output y: float32[N, 1] = x -> Linear(32) -> Tanh -> Linear(1) }
train Both {
  data digits = Digits(validation=0.1, test=0.7)
  real = 0.1 * flatten(digits.image, 1)
  made = Maker(real)
  step judge { minimize mean(square(Judge(detach(made)))) + mean(square(Judge(real) - 1)); update Judge }
  step maker { minimize mean(square(Judge(made) - 1)) + mse_loss(made, real); update Maker }
  optimizer SGD(lr=0.01, momentum=0.9)
  batch_size 32
  epochs 3
}
"""
#: What is generated ends sooner for the samples of one process than for those of the other.
GENERATING = """
network Copier(width: int = 16) {
  input source: index(6)[N, S]
  input target: index(6)[N, T] where T <= 8
  seen = mean(source -> Embedding(6, width), dim=1, keepdim=true)
  output logits: float32[N, T, 6] = (target -> Embedding(6, width)) + seen -> GRU(width) -> Linear(6)
}
data Pairs2 = Generated(samples=96, seed=0) {
  output source = randint(3, 6)[N, 3]
  output target = concat(full(1)[N, 1], source, full(2)[N, 1], dim=1)
  split (validation=0.25, test=0.25)
}
train Copier {
  data pairs = Pairs2
  logits = Copier(pairs.source, pairs.target[:, :-1])
  minimize cross_entropy(logits, pairs.target[:, 1:])
  said = generate(Copier.logits, source=pairs.source, grow="target", start=1, stop=2, length=7)
  measure ended = mean(float32(said == 2))
  measure likely = mean(float32(generate(Copier.logits, source=pairs.source, grow="target", start=1, stop=2, length=7, beam=2)))
  optimizer SGD(lr=0.5)
  batch_size 16
  epochs 3
}
"""
#: A loss that holds a gradient down, and one that is only measured.
SLOPE = """
network Net { input x: float32[N, 64]; output y: float32[N, 10] = x -> Linear(16) -> Tanh -> Linear(10) }
train Small {
  data digits = Digits(validation=0.1, test=0.7)
  x = flatten(digits.image, 1)
  logits = Net(x)
  slope = mean(square(gradient(sum(logits), wrt=x)))
  minimize cross_entropy(logits, digits.label) + 0.5 * slope
  measure slope
  optimizer SGD(lr=0.1, momentum=0.9)
  batch_size 32
  epochs 3
}
"""
#: 359 samples to learn from: the last batch of 32 has 7, that of 179 has one, which leaves a process without any.
SAME = {
    "momentum": digits("optimizer SGD(lr=0.1, momentum=0.9, weight_decay=1e-3)"),
    "accumulate": digits("optimizer SGD(lr=0.1)", settings="accumulate 5\n  clip_grad_norm 0.5"),
    "values": digits("optimizer SGD(lr=0.1)", settings="clip_grad_value 0.01\n  drop_last true"),
    "adam": digits("optimizer AdamW(lr=cosine(1e-3, 0, epochs=3), eps=1e-3)"),
    "figures": digits(settings="measure auc(logits, digits.label), f1(logits, digits.label)\n  measure cost = mean(logits)"),
    "by_steps": digits(settings="measure_every steps=5\n  keep_best accuracy"),
    "idle": digits().replace("batch_size 32", "batch_size 179"),
    "fused_loss": digits(settings="fused_loss true").replace("  measure accuracy(logits, digits.label)\n", ""),
    "average": digits("optimizer SGD(lr=0.1, momentum=0.9)", settings="ema 0.9\n  keep_best accuracy"),
    "steps": STEPS, "steps_idle": STEPS.replace("batch_size 32", "batch_size 179"),
    "shared": IN_BOTH, "not_detached": IN_BOTH.replace("detach(made)", "made"), "seldom": IN_BOTH.replace("step maker", "step maker(every=3)"),
    "generating": GENERATING,
    "slope": SLOPE.replace(" + 0.5 * slope", ""),
    "unused": OTHER + digits(settings="measure other = mean(Other(digits.image))"),
}  # fmt: skip
DDP = {
    **SAME, "held_slope": SLOPE, "norms": digits().replace("Flatten -> Linear(16)", CONVOLUTION),
    "norms_idle": digits().replace("Flatten -> Linear(16)", CONVOLUTION).replace("batch_size 32", "batch_size 179"),
    "checkpointed": digits(settings="memory_format channels_last\n  activation_checkpointing true").replace(
        "Flatten -> Linear(16)", CONVOLUTION
    ),
}  # fmt: skip
FSDP = {f"fsdp_{name}": text.replace("  epochs 3", "  epochs 3\n  parallel fsdp") for name, text in SAME.items()}
#: What is stopped and gone on with: dropout, momentum, and figures that are added up over a whole epoch.
STOPPED = digits("optimizer SGD(lr=0.1, momentum=0.9)", settings="measure auc(logits, digits.label)")
SHARDED = STOPPED.replace("  epochs 3", "  epochs 3\n  parallel fsdp")
GUIDE = (ROOT / "docs/guide/scaling.md").read_text(encoding="utf-8").split("```nn\n")[1].partition("```")[0]
DROPPING = digits("optimizer Adam(lr=1e-2)", "0.3")
AVERAGED = digits("optimizer SGD(lr=0.1, momentum=0.9)", settings="ema 0.9\n  parallel fsdp")
IN_STEPS = STEPS.replace("  epochs 3", "  epochs 3\n  parallel fsdp")


def on_nan(policy: str, *settings: str, text: str = DDP["momentum"]) -> str:
    return text.replace("  epochs 3", "\n  ".join(["  epochs 3", f"on_nan {policy}", *settings]))


#: What is spoilt in the share of one of two processes: the whole batch is left out, or all go back.
SPOILT = {
    "skipped_loss": (on_nan("skip"), "loss", [1, 5, 12, 20]),
    "skipped_input": (on_nan("skip", text=DDP["norms"]), "input", [5, 13]),
    "skipped_gradient": (on_nan("skip", "clip_grad_norm 1.0"), "gradient", [5, 36]),
    "skipped_group": (on_nan("skip", "accumulate 4"), "input", [2, 5]),
    "skipped_step": (on_nan("skip", text=STEPS), "input", [4, 7]),
    "fsdp_skipped": (on_nan("skip", "parallel fsdp", "clip_grad_norm 1.0"), "input", [5, 13]),
    "fsdp_skipped_step": (on_nan("skip", "parallel fsdp", text=STEPS), "input", [4, 7]),
    "fell_back": (on_nan("rollback"), "input", [5, 30]),
    "fell_back_weight": (on_nan("rollback"), "weight", [24]),
    "fsdp_fell_back": (on_nan("rollback", "parallel fsdp", "ema 0.9"), "input", [5, 30]),
}  # fmt: skip


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """The runs of one process."""
    runs = {}
    for name, text in {**DDP, "stopped": STOPPED}.items():
        runs[name] = trained(tmp_path_factory.mktemp(name), text).run
    return runs


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Ended]:
    """The runs of two."""
    folder = tmp_path_factory.mktemp("together")
    with pytest.MonkeyPatch.context() as patch:
        stopped = [interrupted(tmp_path_factory.mktemp(f"stopped{each}"), STOPPED, 17, patch) for each in range(2)]
    jobs = [Job(name, text) for name, text in {**DDP, **FSDP}.items()]
    jobs += [Job("from_one", STOPPED, resume=str(stopped[0])), Job("fsdp_from_one", SHARDED, resume=str(stopped[1]))]
    jobs += [Job("stopped", STOPPED, stop=17), Job("fsdp_stopped", SHARDED, stop=17)]
    jobs += [Job("whole", DROPPING), Job("halves", DROPPING, stop=17)]
    jobs.append(Job("guide", GUIDE))
    jobs.append(Job("diverging", digits("optimizer SGD(lr=1e30)")))
    jobs += [Job(name, text, spoilt=(kind, steps, 0)) for name, (text, kind, steps) in SPOILT.items()]
    jobs += [Job(f"hopeless_{policy}", on_nan(policy), spoilt=("loss", [*range(4, 37)], 1)) for policy in ("skip", "rollback")]
    jobs.append(Job("spoilt_weight", digits(settings="parallel fsdp"), spoilt=("update", [12], 1)))
    jobs += [Job("fsdp_average_stopped", AVERAGED, stop=17), Job("fsdp_steps_stopped", IN_STEPS, stop=17)]
    found = train_together(folder, jobs, least_layer=500)
    found["from_one"] = found["from_one"]._replace(run=stopped[0])
    found["fsdp_from_one"] = found["fsdp_from_one"]._replace(run=stopped[1])
    (folder / "again").mkdir()
    halves = found["halves"].run
    found |= train_together(folder / "again", [Job("halves_again", DROPPING, resume=str(halves))])
    found["halves_again"] = found["halves_again"]._replace(run=halves)
    return found


def compare(ours: Path, theirs: Path) -> None:
    """Weights and what the optimizer keeps within 1e-6, and figures: those that count exactly, the others within what that makes."""
    found, expected = weights(ours), weights(theirs)
    names = [name for name in expected if name.startswith(("network.", "optimizer"))]
    assert names
    assert {name for name in found if not name.startswith("random")} == {
        name for name in expected if not name.startswith("random")
    }
    for name in names:
        torch.testing.assert_close(found[name], expected[name], rtol=0, atol=1e-6, msg=lambda text, name=name: f"{name}: {text}")
    lines, wanted = log(ours), log(theirs)
    assert len(lines) == len(wanted)
    for line, other in zip(lines, wanted, strict=True):
        assert line.keys() == other.keys()
        for name, value in other.items():
            if "accuracy" in name or name in ("epoch", "step", "lr"):
                assert line[name] == value, name
            else:
                assert math.isclose(line[name], value, rel_tol=1e-5, abs_tol=1e-6), (name, line[name], value)


def finished(ended: Ended) -> Path:
    assert set(ended.errors) == {""}
    assert ended.run is not None
    assert RunFolder.open(ended.run).manifest["status"] == "finished"
    return ended.run


@pytest.mark.parametrize("name", DDP)
def test_ddp_is_one_process(together: Mapping[str, Ended], alone: Mapping[str, Path], name: str) -> None:
    compare(finished(together[name]), alone[name])


@pytest.mark.parametrize("name", FSDP)
def test_fsdp_is_one_process(together: Mapping[str, Ended], alone: Mapping[str, Path], name: str) -> None:
    compare(finished(together[name]), alone[name.removeprefix("fsdp_")])


@pytest.mark.parametrize("name", ["figures", "fsdp_figures"])
def test_the_run_is_like_any_other(together: Mapping[str, Ended], alone: Mapping[str, Path], name: str) -> None:
    run = finished(together[name])
    manifest, single = RunFolder.open(run).manifest, RunFolder.open(alone["figures"]).manifest
    assert manifest["sessions"][0]["environment"]["processes"] == 2
    assert manifest["parameters"] == single["parameters"]
    assert manifest["final"]["accuracy"] == single["final"]["accuracy"]
    of_samples = {"mistakes.png"}  # each process has seen some of them
    assert {each.name for each in run.iterdir()} == {each.name for each in alone["figures"].iterdir()} - of_samples
    found = evaluate(run, device="cpu")
    assert found.metrics["accuracy"] == manifest["final"]["accuracy"]
    assert found.confusion == evaluate(alone["figures"], device="cpu").confusion


@pytest.mark.parametrize("name", ["from_one", "fsdp_from_one"])
def test_two_go_on_with_what_one_left(together: Mapping[str, Ended], alone: Mapping[str, Path], name: str) -> None:
    compare(finished(together[name]), alone["stopped"])


@pytest.mark.parametrize("name", ["stopped", "fsdp_stopped"])
def test_one_goes_on_with_what_two_left(
    together: Mapping[str, Ended], alone: Mapping[str, Path], tmp_path: Path, name: str
) -> None:
    ended = together[name]
    assert ended.run is not None
    assert all(each.startswith("Interrupted: stopped by signal 15") for each in ended.errors)
    manifest = RunFolder.open(ended.run).manifest
    assert manifest["status"] == "stopped"
    train(checked(tmp_path, STOPPED if name == "stopped" else SHARDED), device="cpu", resume=ended.run)
    compare(ended.run, alone["stopped"])


def test_two_go_on_bit_for_bit(together: Mapping[str, Ended]) -> None:
    """Each has random numbers of its own, which come back as well."""
    whole, halves = weights(finished(together["whole"])), weights(finished(together["halves_again"]))
    assert whole.keys() == halves.keys()
    assert {"random/cpu", "random/cpu.1"} <= whole.keys()
    assert [name for name in whole if not torch.equal(whole[name], halves[name])] == []
    assert not torch.equal(whole["random/cpu"], whole["random/cpu.1"])


def test_the_example_of_the_guide_runs(together: Mapping[str, Ended]) -> None:
    manifest = RunFolder.open(finished(together["guide"])).manifest
    assert manifest["final"]["accuracy"] > 0.8


def test_all_hear_of_a_loss_that_is_no_number(together: Mapping[str, Ended]) -> None:
    first, second = together["diverging"].errors
    assert first.startswith("TrainingError: the loss is nan at step")
    assert second.startswith("TrainingError: the loss is nan at step") or second == "Elsewhere: rank 0 has failed, and says why"


@pytest.mark.parametrize("name", SPOILT)
def test_what_one_finds_all_leave_out_or_go_back_from(
    together: Mapping[str, Ended], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr("nnspec.training.loop._CHECKPOINT_SHARE", 0)
    text, kind, steps = SPOILT[name]
    with injected(kind, steps.__contains__):
        single = trained(tmp_path, text).run
    run = finished(together[name])
    found, expected = weights(run), weights(single)
    for key, value in expected.items():
        if key.startswith(("network.", "optimizer")):
            torch.testing.assert_close(found[key], value, rtol=0, atol=1e-6)
    counted = [{name: line[name] for name in ("skipped", "rolled_back") if name in line} for line in log(run)]
    assert counted == [{name: line[name] for name in ("skipped", "rolled_back") if name in line} for line in log(single)]
    assert list(counted[-1].values()) == [len(steps) if kind != "weight" else 1]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("hopeless_skip", "the loss is nan at step 24 (epoch 2): 20 updates in a row have been left out"),
        ("hopeless_rollback", "; it went back 3 times"),
        ("spoilt_weight", "the weight `logits.1.weight` is nan at step 12 (epoch 1), so that no checkpoint of it is kept"),
    ],
)
def test_all_end_where_nothing_helps(together: Mapping[str, Ended], name: str, said: str) -> None:
    first, second = together[name].errors
    assert said in first
    assert second == "Elsewhere: rank 0 has failed, and says why"


@pytest.mark.parametrize(("name", "text"), [("fsdp_average_stopped", AVERAGED), ("fsdp_steps_stopped", IN_STEPS)])
def test_one_goes_on_with_parts_that_two_left(together: Mapping[str, Ended], tmp_path: Path, name: str, text: str) -> None:
    run = together[name].run
    assert run is not None
    train(checked(tmp_path, text), device="cpu", resume=run)
    (tmp_path / "alone").mkdir()
    compare(run, trained(tmp_path / "alone", text).run)
