"""`prove`: what the check infers is what torch does, on every spec of the repository, and the account says what was compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from spec_files import ROOT, SPECS, spec_name
from test_specs_run import SMALL

from nnspec.checker import Report, check_path, check_source
from nnspec.diagnostics import Source
from nnspec.operators.declare import OPERATORS
from nnspec.operators.declare import Cost as Work
from nnspec.proving import NetworkAccount, Proof, RecipeAccount, SampleAccount, prove
from nnspec.proving.sizes import Cost, trial_sizes, without_numbers

pytestmark = pytest.mark.torch


def checked(text: str, **options: Any) -> Report:
    report = check_source(Source("t.nn", text), **options)
    assert report.ok, [finding.message for finding in report.findings]
    return report


def network(proof: Proof, name: str = "") -> NetworkAccount:
    return next(each for each in proof.accounts if isinstance(each, NetworkAccount) and each.name == (name or each.name))


def recipe(proof: Proof, name: str = "") -> RecipeAccount:
    return next(each for each in proof.accounts if isinstance(each, RecipeAccount) and each.name == (name or each.name))


def small(path: Path) -> Report:
    """The spec with its networks in small."""
    names = check_path(path).networks
    settings = {key: value for name in names for key, value in SMALL.get(name, {}).items()}
    return check_path(path, settings=settings)


# --- the specs --------------------------------------------------------------------------------------------------------------


#: These take five seconds to half a minute each.
LONG = ("transformer/bert", "transformer/gpt", "unet/unet", "resnet/resnet")


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, id=spec_name(path), marks=pytest.mark.nightly if spec_name(path) in LONG else ()) for path in SPECS],
)
def test_every_spec_is_proved(path: Path) -> None:
    report = small(path)
    proof = prove(report, trials=2 if path.stem in ("alexnet", "vgg") else 4)
    assert [finding.message for finding in proof.findings] == []
    samples = {each.name for each in report.samples}
    assert {account.name for account in proof.accounts} >= {*report.networks, *report.recipes, *samples}
    for account in proof.accounts:
        if account.name not in report.networks and account.name not in report.recipes and account.name not in samples:
            assert not account.ran
            continue
        assert account.ran
        assert len(account.on_meta) < len(account.sizes)
        if isinstance(account, SampleAccount):
            assert account.values > 0
            continue
        assert min(account.values, account.parameters, account.gradients) > 0
        if isinstance(account, NetworkAccount):
            assert account.values >= sum(len(node.outputs) > 0 for node in report.networks[account.name].nodes) // 2
            counted = report.networks[account.name].flop != 0
            assert bool(account.flop_counts or account.flop_uncounted) == counted
            assert len(account.sizes) > 1
        else:
            assert isinstance(account, RecipeAccount)
            assert account.steps == len(account.sizes)
            assert account.metrics == [metric.name for metric in report.recipes[account.name].metrics]


@pytest.mark.parametrize(
    "name", ["cnn/simple_cnn", pytest.param("unet/unet", marks=pytest.mark.nightly), "perceptron/perceptron"]
)
def test_both_forms_have_one_proof(name: str) -> None:
    proofs = [prove(small(ROOT / "specs" / f"{name}{ending}"), trials=3) for ending in (".nn", ".yaml")]
    assert proofs[0].as_object() == proofs[1].as_object()


def test_the_proof_is_the_same_each_time_and_leaves_the_random_state_alone() -> None:
    report = small(ROOT / "specs/rnn/lstm_classifier.nn")
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    first = prove(report, trials=2)
    assert torch.equal(torch.rand(3), expected)
    assert prove(report, trials=2) == first


def test_published_sizes_are_proved_without_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that is too large for numbers has shapes and types on torch's meta device, and the account says so."""
    monkeypatch.setattr("nnspec.proving.sizes.MOST_BYTES", 2**20)
    proof = prove(check_path(ROOT / "specs/transformer/vit.nn"), trials=2)
    (account,) = proof.accounts
    assert proof.ok
    assert account.sizes == account.on_meta
    assert account.parameters == 86_567_656
    assert any("only shapes and types, on torch's meta device" in note for note in account.notes)


def test_what_cannot_run_without_numbers_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nnspec.proving.sizes.MOST_BYTES", 2)
    proof = prove(small(ROOT / "specs/rnn/lstm_classifier.nn"), trials=2)
    assert proof.ok
    assert not network(proof, "TextLSTM").ran
    assert proof.as_text().startswith("not proved: TextRNN: rnn (RNN) cannot run without numbers")


# --- sizes ------------------------------------------------------------------------------------------------------------------

SIZES = """
network Net {
  input x: float32[N, 3, H, W] where H % 4 == 0, W >= 5
  output y = x -> Conv2d(4, 3, padding=1)
}
"""


def test_sizes_are_small_odd_and_ordinary() -> None:
    graph = checked(SIZES).graph("Net")
    found = [{var.name: size for var, size in sizes.items()} for sizes in trial_sizes(graph, 9)]
    assert found[0] == {"N": 1, "H": 4, "W": 5}
    assert len({tuple(sizes.items()) for sizes in found}) == len(found)
    assert any(sizes["N"] == 3 and sizes["W"] % 2 for sizes in found)
    for name, least in found[0].items():
        beside = [sizes for sizes in found[1:] if sizes[name] == least]
        assert any(all(sizes[other] > found[0][other] for other in sizes if other != name) for sizes in beside), name
    assert trial_sizes(graph, 2) == trial_sizes(graph, 9)[:2]


def test_a_network_without_symbols_has_one_size() -> None:
    proof = prove(checked("network Net {\n  input x: float32[2, 8]\n  output y = x -> Linear(3)\n}\n"))
    assert network(proof).sizes == [{}]
    assert proof.as_text().startswith("proved: Net at 1 size, 1 value each, 27 parameters, 1 FLOP count, 2 gradients")


def test_sizes_that_cost_too_much_are_run_without_numbers() -> None:
    assert without_numbers([Cost(1, 10), Cost(1, 10**9), Cost(10**12, 10)]).keys() == {1, 2}
    assert without_numbers([Cost(1, 3 * 10**9), Cost(1, 4 * 10**9)]).keys() == {1}
    assert without_numbers([Cost(1, 10**11)]).keys() == {0}


# --- preconditions ----------------------------------------------------------------------------------------------------------

MIRROR = """
network Mirror {
  input image: float32[N, 8, H, W]
  small = image -> MaxPool2d(2)
  output y = image + (small -> ConvTranspose2d(8, 2, stride=2))
}
"""


def test_the_smallest_inadmissible_size_is_refused() -> None:
    proof = prove(checked(MIRROR))
    assert proof.findings == ()
    assert network(proof).refused == [{"H": 1}, {"W": 1}]
    assert not network(proof).stricter
    assert "; refused H=1 and W=1" in " ".join(proof.as_text().split())


def test_an_index_out_of_range_is_not_seen_without_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table has 5 rows: torch refuses the sixth step, but not on its meta device, which proves nothing then."""
    text = """
network Net {
  input tokens: index(9)[N, T]
  output y = (tokens -> Embedding(9, 4)) + (arange(T) -> Embedding(5, 4))
}
"""
    assert prove(checked(text)).findings == ()
    monkeypatch.setattr("nnspec.proving.sizes.MOST_BYTES", 2)
    proof = prove(checked(text))
    assert proof.findings == ()
    assert network(proof).refused == [{"T": 6}]
    assert "too large to see whether torch needs `T <= 5`, which is checked" in network(proof).notes


def test_a_declared_condition_may_ask_for_more() -> None:
    proof = prove(checked(SIZES))
    assert proof.findings == ()
    assert network(proof).stricter == [{"H": 1}, {"W": 1}]
    assert "the spec asks for more than torch: `H % 4 == 0` excludes H = 1, at which it would run" in network(proof).notes


@pytest.mark.parametrize(
    ("more", "said"),
    [("0", "no sizes were found at which it fails"), ("D % 601 // 600", "refused at N = 1, D = 600")],
    ids=["always", "not at 600"],
)
def test_conditions_that_are_not_proved_are_tried(more: str, said: str) -> None:
    """Of eight neighbours, one is a multiple of each number up to 8; finding that out takes too long."""
    factors = " * ".join(f"(D + {number})" for number in range(8))
    text = f"""
block Block {{
  input x: float32[N, D] where ({factors} + {more}) % 40_320 == 0
  output x -> ReLU
}}
network Odd {{
  input x: float32[N, D]
  output y = x -> Block
}}
"""
    report = checked(text)
    assert "NN221" in {finding.code for finding in report.diagnostics}
    proof = prove(report)
    (note,) = [note for note in network(proof).notes if note.startswith("unproved")]
    assert "(line 8): held at" in note
    assert note.endswith(said)
    stricter = [finding.severity for finding in proof.findings]
    assert stricter == ([] if more == "0" else ["info"]), "torch needs no such condition"


def test_conditions_on_values_that_random_inputs_do_not_meet() -> None:
    text = """
network Net {
  input x: float32[N, 4] where x >= 0, x <= 1
  input k: int64[N] where k >= 1, k <= 3
  output y = x -> Linear(3)
}
"""
    proof = prove(checked(text))
    assert proof.ok
    assert network(proof).ran
    assert "random inputs do not meet its conditions on values, which were not asked" in network(proof).notes


# --- variants ---------------------------------------------------------------------------------------------------------------


def test_optional_inputs_and_training_are_variants() -> None:
    text = """
network VAE(latent: int = 4) {
  input x: float32[N, 8]
  input noise: float32[N, latent] = none
  mu = x -> Linear(latent)
  extra = if training then (mu -> Linear(latent) as late) else mu
  output y = if given(noise) then mu + noise + 0 * extra else mu + 0 * extra
}
"""
    told: list[str] = []
    proof = prove(checked(text), told=told.append)
    assert proof.ok
    assert told == [
        "proving VAE, in inference",
        "proving VAE, in training",
        "proving VAE, in inference, with `noise`",
        "proving VAE, in training, with `noise`",
    ]


def test_a_variant_with_errors_of_its_own_is_found() -> None:
    """The check builds training without the optional input, and the input without training."""
    text = """
network Net {
  input x: float32[N, 8]
  input z: float32[N, 4] = none
  output y = if training and given(z) then x + z else x -> Linear(8)
}
"""
    proof = prove(checked(text))
    assert [finding.code for finding in proof.findings] == ["NN201"]
    assert not proof.ok


def test_weights_that_depend_on_an_input_get_numbers() -> None:
    proof = prove(checked("network Net(out: int) {\n  input x: float32[N, F]\n  output y = x -> Linear(out)\n}\n"))
    account = network(proof)
    assert proof.ok
    assert account.ran
    assert account.notes[0].startswith("its weights depend on ")
    assert account.parameters == 3 * (next(size for size in range(2, 20) if f"F = {size}" in account.notes[0]) + 1)


def test_sizes_given_outside_are_kept() -> None:
    report = checked("network Net {\n  input x: float32[N, T, 8]\n  output y = x -> Linear(4)\n}\n", sizes={"T": 7})
    assert all("T" not in sizes for sizes in network(prove(report)).sizes)


def test_what_only_training_needs_is_refused_in_training() -> None:
    """A batch norm of single values; in inference one sample is enough."""
    proof = prove(checked("network Net {\n  input x: float32[N, 8]\n  output y = x -> Linear(4) -> BatchNorm1d as norm\n}\n"))
    assert proof.findings == ()
    assert {"N": 1} in network(proof).sizes
    assert network(proof).refused == [{"N": 1}]
    assert network(proof).gradients == 4


# --- claims -----------------------------------------------------------------------------------------------------------------

CLAIMS = """
network Net {
  input x: float32[N, T, 8]
  h = x -> Linear(8)
  output y = h -> SelfAttention(2, causal=true)
  output z = relu(h)
}
ensure Net { causal(x -> y); range(z, 0, none); range(y, -100, 100); grads_reach(y); CLAIM }
"""


def test_claims_are_tested_and_their_notes_replaced() -> None:
    report = checked(CLAIMS.replace("CLAIM", "deterministic(x -> y)"))
    waiting = [finding for finding in report.diagnostics if finding.code == "NN502"]
    proof = prove(report)
    assert len(waiting) == 4
    assert network(proof).claims == ["causal(x -> y)", "range(y, -100, 100)", "grads_reach(y)", "deterministic(x -> y)"]
    assert [finding.code for finding in proof.applied(report.diagnostics)] == ["NN501"], "of the range; the others hold"
    assert not proof.ok


def test_a_claim_that_holds_leaves_nothing() -> None:
    report = checked(CLAIMS.replace("range(y, -100, 100); ", "").replace("CLAIM", "batch_independent(x -> y)"))
    proof = prove(report)
    assert proof.ok
    assert proof.applied(report.diagnostics) == []
    assert "; 3 claims tested" in " ".join(proof.as_text().split())


def test_claims_on_what_is_too_large_stay_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nnspec.proving.sizes.MOST_BYTES", 2)
    report = checked(CLAIMS.replace("CLAIM", "deterministic(x -> y)"))
    proof = prove(report)
    assert not proof.settled
    assert "its claims were not tested: it is too large" in network(proof).notes


# --- the account --------------------------------------------------------------------------------------------------------------


def test_a_report_with_errors_is_not_proved() -> None:
    report = check_source(Source("t.nn", "network Net {\n  input x: float32[N]\n  output y = z\n}\n"))
    assert prove(report) == Proof((), ())


def test_a_shared_mistake_counts_for_each_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told once, and neither network is proved."""
    monkeypatch.setattr(OPERATORS["Conv2d"], "cost", lambda self: Work(1))
    text = """
block Part {
  input x: float32[N, C, H, W]
  output x -> Conv2d(4, 1)
}
network A {
  input x: float32[N, 3, 8, 8]
  output y = x -> Part
}
network B {
  input x: float32[N, 5, 8, 8]
  output y = x -> Part
}
"""
    proof = prove(checked(text))
    assert len(proof.findings) == 1
    assert [account.errors for account in proof.accounts] == [1, 1]
    assert proof.as_text().count("contradicted in 1 place") == 2


def test_what_has_no_graph_is_named() -> None:
    text = """
network Graphs {
  input x: float32[V, 4]
  input edges: index(V)[2, E]
  output y = x -> GINConv(Linear(8), edge_index=edges)
}
block Head(width: int) {
  input x: float32[N, D]
  output x -> Linear(width)
}
network Open(Layer: block) {
  input x: float32[N, 8]
  output y = x -> Layer
}
network Closed = Open(Linear(3))
"""
    report = checked(text)
    proof = prove(report)
    lines = proof.as_text().split("\n")
    assert "not proved: Graphs: `GINConv` is not run by this version" in lines
    assert "not proved: Open: it can be built only with parameters that others give it" in " ".join(lines).replace("  ", " ")
    assert network(proof, "Closed").ran


def test_the_account_fits_eighty_columns() -> None:
    proofs = [prove(small(path), trials=2) for path in SPECS[:4]]
    lines = [line for proof in proofs for line in proof.as_text().split("\n")]
    assert lines
    assert all(len(line) <= 80 for line in lines)


def test_the_account_for_programs() -> None:
    (found,) = prove(checked(MIRROR), trials=2).as_object()
    assert found == {
        "kind": "network", "name": "Mirror", "ran": True, "errors": 0, "sizes": [{"N": 1, "H": 2, "W": 2}, {"N": 4, "H": 6, "W": 8}],
        "on_meta": [], "values": 3, "parameters": 264, "weights": 2, "flop_counts": 1, "flop_uncounted": [], "gradients": 2,
        "notes": [], "refused": [{"H": 1}, {"W": 1}], "stricter": [], "claims": [],
    }  # fmt: skip
