"""`prove` can fail: whatever is broken in what nnspec infers, or in what it lowers, is a finding at its place."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from nnspec.checker import Report, check_source
from nnspec.diagnostics import Diagnostic, Source
from nnspec.graph.interval_rules import RULES
from nnspec.operators.declare import OPERATORS, Cost, Inferred, Obligation, Weight
from nnspec.proving import Proof, prove
from nnspec.torch_backend import guards

pytestmark = pytest.mark.torch

TEXT = """
block Layer(width: int) {
  input x: float32[N, C, H, W]
  output x -> Conv2d(width, 3, padding=1) -> ReLU
}
network Net(classes: int = 5) {
  input image: float32[N, 3, H, W] where H % 2 == 0, W % 2 == 0
  h = image -> repeat 2 { Layer(8) } -> MaxPool2d(2) as pool
  output logits = h -> AdaptiveAvgPool2d(1) -> Flatten -> Linear(classes) as head
  output class = argmax(logits, dim=1)
  output share = softmax(logits, dim=1)
}
"""


def checked(text: str = TEXT) -> Report:
    report = check_source(Source("t.nn", text))
    assert report.ok, [finding.message for finding in report.findings]
    return report


def contradicted(proof: Proof) -> Diagnostic:
    """The first contradiction."""
    assert not proof.ok
    assert proof.accounts[0].errors > 0
    assert "contradicted in" in proof.as_text() or "not proved" in proof.as_text()
    return next(finding for finding in proof.findings if finding.code == "NN504" and finding.severity == "error")


def test_nothing_is_contradicted_as_it_is() -> None:
    assert prove(checked()).findings == ()


def test_a_wrong_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    right = OPERATORS["Conv2d"].infer

    def wrong(self: Any) -> Inferred:
        inferred = right(self)
        type = inferred.outputs["output"]
        return inferred._replace(outputs={"output": type.with_dims((*type.dims[:3], type.dims[3] + 1))})

    monkeypatch.setattr(OPERATORS["Conv2d"], "infer", wrong)
    finding = contradicted(prove(checked(TEXT.replace(", W % 2 == 0", ""))))
    assert finding.message == ("`h.0.0 (Conv2d)` gives float32[1, 8, 2, 1] in torch, and float32[1, 8, 2, 2] was inferred")
    assert finding.span.text == "Conv2d(width, 3, padding=1)"
    assert finding.notes[0] == "inferred as float32[N, 8, H, W + 1]"
    assert finding.notes[1] == "at N = 1, H = 2, W = 1"
    assert finding.notes[2].startswith("in `Layer`, used at t.nn:8:")
    assert finding.help == "this is a mistake of nnspec, not of the spec: please report it with the spec"


def test_one_mistake_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many copies, variants and sizes show it."""
    monkeypatch.setattr(OPERATORS["Conv2d"], "cost", lambda self: Cost(1))
    proof = prove(checked())
    assert len(proof.findings) == 1


def test_a_wrong_element_type(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(self: Any) -> Inferred:
        return Inferred({"output": self.input.with_dims(self.input.dims[:1]).with_dtype("int32")})

    monkeypatch.setattr(OPERATORS["argmax"], "infer", wrong)
    finding = contradicted(prove(checked()))
    assert finding.message == "`class (argmax)` gives int64[1] in torch, and int32[1] was inferred"


def test_a_wrong_number_of_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    right = OPERATORS["argmax"].infer

    def wrong(self: Any) -> Inferred:
        type = right(self).outputs["output"]
        return Inferred({"output": type._replace(classes=1)})

    monkeypatch.setattr(OPERATORS["argmax"], "infer", wrong)
    finding = contradicted(prove(checked()))
    assert "`class (argmax)` gives values from " in finding.message
    assert finding.message.endswith("and 0 to 0 was inferred")


def test_a_wrong_range(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RULES, "softmax", lambda call: (0.0, 0.1))
    finding = contradicted(prove(checked()))
    assert finding.span.text == "softmax(logits, dim=1)"
    assert "and 0 to 0.1 was inferred" in finding.message


@pytest.mark.parametrize("operator", ["Conv2d", "Linear"])
def test_a_wrong_cost(monkeypatch: pytest.MonkeyPatch, operator: str) -> None:
    right = OPERATORS[operator].cost
    monkeypatch.setattr(OPERATORS[operator], "cost", lambda self: Cost(right(self).flop + 2))
    finding = contradicted(prove(checked()))
    assert f"({operator})`, and" in finding.message
    assert finding.message.startswith("torch counts ")
    assert finding.message.endswith(" were inferred")


def test_a_wrong_weight(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(self: Any) -> tuple[Weight, ...]:
        return (Weight("weight", (self.out_features, self.input.dims[-1] + 1)), Weight("bias", (self.out_features,)))

    monkeypatch.setattr(OPERATORS["Linear"], "weights", wrong)
    finding = contradicted(prove(checked()))
    assert finding.message == (
        "`head (Linear)` has the weights weight[5, 8], bias[5] in torch, and weight[5, 9], bias[5] was inferred"
    )
    assert finding.span.text == "Linear(classes)"


def test_a_weight_that_should_not_be_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    right = OPERATORS["Linear"].weights
    monkeypatch.setattr(
        OPERATORS["Linear"], "weights", lambda self: tuple(each._replace(trainable=each.name != "bias") for each in right(self))
    )
    proof = prove(checked())
    messages = [finding.message for finding in proof.findings]
    assert "`head.bias` is a parameter in torch, and something else was inferred" in messages
    assert any("parameters in torch, and" in message for message in messages)


def test_a_call_that_torch_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    right = OPERATORS["MaxPool2d"].lower
    monkeypatch.setattr(OPERATORS["MaxPool2d"], "lower", lambda self: right(self)._replace(settings={"kernel_size": 99}))
    finding = contradicted(prove(checked()))
    assert finding.message.startswith("torch cannot compute `pool (MaxPool2d)`, in inference: ")
    assert finding.notes[0].startswith("at N = 1")


def test_a_module_that_torch_does_not_make(monkeypatch: pytest.MonkeyPatch) -> None:
    right = OPERATORS["Linear"].lower
    monkeypatch.setattr(OPERATORS["Linear"], "lower", lambda self: right(self)._replace(target="torch.nn.Lineal"))
    finding = contradicted(prove(checked()))
    assert finding.message.startswith("torch does not make `head (Linear)`: `torch.nn.Lineal` does not exist")


def test_a_door_that_stands_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nnspec.torch_backend.admission.guards.require", lambda *arguments: None)
    finding = contradicted(prove(checked()))
    assert finding.message == "the compiled `Net` takes inputs at N = 4, H = 1, W = 8, where `H % 2 == 0` does not hold"
    assert finding.span.text == "H % 2 == 0"


def test_a_door_that_is_shut(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(holds: bool, message: str, place: str, *arguments: Any) -> None:
        raise guards.PreconditionError(message, place)

    monkeypatch.setattr("nnspec.torch_backend.admission.guards.require", refuse)
    finding = contradicted(prove(checked()))
    assert finding.message.startswith("the compiled `Net` refuses inputs at N = 1, H = 2, W = 2, where all conditions hold")


def test_a_condition_that_is_stricter_than_need_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is inferred and not needed is a note; what the spec declares is its own matter."""
    right = OPERATORS["ReLU"].infer

    def strict(self: Any) -> Inferred:
        from nnspec.dims.claims import at_least

        claim = at_least(self.input.dims[0], 2)
        return right(self)._replace(obligations=(Obligation(claim, "NN214", "input", "`ReLU` wants two samples"),))

    monkeypatch.setattr(OPERATORS["ReLU"], "infer", strict)
    proof = prove(checked())
    (finding,) = proof.findings
    assert (finding.code, finding.severity) == ("NN504", "info")
    assert finding.message == "`N >= 2` is stricter than need be: torch runs `Net` at N = 1 as well"
    assert proof.ok
    assert {"N": 1} in proof.accounts[0].as_object()["stricter"]


@pytest.mark.parametrize(
    ("remove", "add", "message"),
    [
        ((), ("ReLU",), "gets a gradient in torch, and the graph says that none reaches it"),
        (("detach",), (), "gets no gradient in torch, and the graph says that one reaches it"),
    ],
)
def test_a_wrong_reach_of_gradients(
    monkeypatch: pytest.MonkeyPatch, remove: tuple[str, ...], add: tuple[str, ...], message: str
) -> None:
    from nnspec.graph import gradients

    monkeypatch.setattr(gradients.Gradients.__init__, "__defaults__", (gradients.WITHOUT_GRADIENT - {*remove} | {*add},))
    text = "network Net {\n  input x: float32[N, 8]\n  a = x -> Linear(8) -> ReLU\n  output y = A -> Linear(3)\n}\n"
    report = checked(text.replace("A", "detach(a)" if remove else "a"))
    assert contradicted(prove(report)).message == f"`a.0.weight` {message}"


def test_a_gradient_that_is_not_finite() -> None:
    text = "network Net {\n  input x: float32[N, 8]\n  h = relu(x -> Linear(8))\n  output y = sqrt(h * 0)\n}\n"
    finding = contradicted(prove(checked(text)))
    assert finding.message.endswith("gets a gradient that is not finite")
    assert finding.help is not None
    assert "the derivative does not exist" in finding.help


def test_outputs_that_are_not_finite_say_nothing_of_gradients() -> None:
    proof = prove(checked("network Net {\n  input x: float32[N, 8]\n  output y = sqrt(x -> Linear(8))\n}\n"))
    assert proof.findings == ()
    assert proof.accounts[0].notes == ["gradients were not compared: on random inputs its outputs are not finite"]


def test_a_backward_pass_that_torch_has_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """As torch's `//` of real numbers."""
    right = OPERATORS["floor_divide"].lower
    monkeypatch.setattr(OPERATORS["floor_divide"], "lower", lambda self: right(self)._replace(target="operator.floordiv"))
    text = "network Net {\n  input x: float32[N, 8]\n  h = x -> Linear(8)\n  output y = h // 2 + h\n}\n"
    finding = contradicted(prove(checked(text)))
    assert finding.message == (
        "torch cannot compute the gradients of `Net`: derivative for aten::floor_divide is not implemented"
    )
    assert finding.span.text == "Net"


def test_inside_of_a_scan(monkeypatch: pytest.MonkeyPatch) -> None:
    text = """
network Net {
  input x: float32[N, T, 8]
  output y = x -> scan { RNNCell(5) -> softmax(1) }
}
"""
    report = checked(text)
    assert prove(report).findings == ()
    monkeypatch.setitem(RULES, "softmax", lambda call: (0.0, 0.001))
    finding = contradicted(prove(checked(text)))
    assert finding.span.text == "softmax(1)"


# --- recipes ----------------------------------------------------------------------------------------------------------------

RECIPE = """
network Net {
  input x: float32[N, 4]
  output y = x -> Linear(3)
}
train Net {
  data iris = Iris(test=0.2)
  y = Net(iris.x)
  loss = cross_entropy(y, iris.label)
  minimize loss
  measure accuracy(y, iris.label)
  optimizer SGD(lr=0.1)
  batch_size 16
  epochs 1
}
"""


def test_a_wrong_type_in_a_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    assert prove(checked(RECIPE)).findings == ()
    monkeypatch.setitem(RULES, "crossentropy", lambda call: (0.0, 0.01))
    proof = prove(checked(RECIPE))
    (finding,) = proof.findings
    assert finding.span.text == "cross_entropy(y, iris.label)"
    assert proof.accounts[1].errors == 1


def test_a_wrong_type_in_a_network_that_a_recipe_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    report = checked(RECIPE)
    monkeypatch.setitem(RULES, "linear", lambda call: (0.0, 0.0))
    places = [finding.span.text for finding in prove(report).findings]
    assert places == ["Linear(3)", "Net(iris.x)"], "what it gives, and what the recipe takes from it"


def test_a_loss_that_is_no_number() -> None:
    text = RECIPE.replace("minimize loss", "minimize loss + mean(log(y * 0))")
    proof = prove(checked(text))
    assert "the loss of `Net` is -inf on random data" in [finding.message for finding in proof.findings]


def test_an_optimizer_that_torch_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OPERATORS["SGD"], "settings", lambda self: {"momentum": -1.0})
    finding = contradicted_in_recipe(prove(checked(RECIPE)))
    assert finding.message.startswith("torch cannot make a step of `Net`: Invalid momentum value")


def contradicted_in_recipe(proof: Proof) -> Diagnostic:
    (finding,) = proof.findings
    assert proof.accounts[1].errors == 1
    return finding


def test_torch_is_asked_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proof that ran nothing would agree with everything: the number of torch's calls is that of the nodes."""
    calls = []
    right = torch.nn.Conv2d.forward
    monkeypatch.setattr(torch.nn.Conv2d, "forward", lambda self, input: (calls.append(tuple(input.shape)), right(self, input))[1])
    prove(checked(), trials=3)
    assert len(set(calls)) >= 3
