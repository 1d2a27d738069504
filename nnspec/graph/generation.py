"""`generate(net.logits, start=..., length=...)`: sequences that are grown token by token (decision A20).

`net.logits` is an output of a network of the recipe that says, for each place of one of its inputs, what comes next. What the other inputs
are is given by their names. Not here: how tokens are chosen (`nnspec.torch_backend.modules.generation`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nnspec.dims import Dim, Poly, Var, as_var, symbol, variables
from nnspec.dims.claims import Relation
from nnspec.graph import calls, instances
from nnspec.graph.ir import Generate, Graph, InputEntry, SymbolOrigin, Value
from nnspec.graph.obligations import oblige
from nnspec.graph.scope import RecipeScope, Scope
from nnspec.graph.values import POISON, EvaluationOnly, Given, InstanceMember, NetworkInstance, carry, is_silent
from nnspec.operators.declare import Obligation
from nnspec.operators.kinds import describe
from nnspec.similar import similar_to
from nnspec.syntax import tree
from nnspec.types import TensorType

#: Setting -> what it is, the least it can be, and whether it is a whole number.
_NUMBERS: dict[str, tuple[str, float, bool]] = {
    "length": ("how many tokens are added", 1, True),
    "stop": ("the token after which nothing follows", 0, True),
    "pad": ("what stands after the stop", 0, True),
    "temperature": ("0 takes the likeliest token, 1 draws as the network says", 0, False),
    "top_k": ("of how many likeliest tokens one is drawn", 1, True),
    "top_p": ("of tokens with how much probability together one is drawn", 0, False),
    "beam": ("how many sequences are kept side by side", 1, True),
    "length_penalty": ("how much longer sequences are favoured by a beam search", 0, False),
}


def generate(expression: tree.Call, scope: Scope) -> Any:
    """The built-in function: tokens as a value; in training nothing, since it is computed in evaluation only."""
    given = [calls.given(argument, scope) for argument in expression.arguments]
    if not isinstance(scope, RecipeScope):
        scope.build.report(
            "NN115", "`generate` belongs to a recipe or a sample: it calls a network again and again", expression.span
        )
        return POISON
    if any(is_silent(each.value) and not isinstance(each.value, EvaluationOnly) for each in given):
        return POISON
    if scope.build.training:
        return EvaluationOnly("generate")
    return _Call(expression, given, scope).value()


class _Call:
    """One call of `generate`."""

    def __init__(self, expression: tree.Call, given: Sequence[Given], scope: RecipeScope) -> None:
        self.expression, self.scope, self.span = expression, scope, expression.span
        self.positional = [each for each in given if each.name is None]
        self.named = {each.name: each for each in given if each.name is not None}

    def value(self) -> Any:
        member = self._member()
        if member is None:
            return POISON
        instance = member.instance
        others = {name: each for name, each in self.named.items() if name not in (*_NUMBERS, "start", "grow")}
        graph = instances.variant_of(instance, list(others.values()), self.scope)
        if graph is None or not self._known(instance, graph, others):
            return POISON
        grown = self._grown(instance, graph, others)
        settings = self._settings()
        if grown is None or settings is None or not self._fits(member, graph, grown):
            return POISON
        bindings: dict[Var, Dim] = {}
        for entry in graph.inputs:
            if entry.name in others and not instances.matches(
                instance, entry, others[entry.name], bindings, self.span, self.scope
            ):
                return POISON
        return self._emit(member, graph, grown, others, settings, bindings)

    # --- what is called -----------------------------------------------------------------------------------------------------

    def _member(self) -> InstanceMember | None:
        first = self.positional[0] if self.positional else None
        if first is None or not isinstance(first.value, InstanceMember) or len(self.positional) > 1:
            place = self.positional[1].span if len(self.positional) > 1 else first.span if first else self.span
            what = f", and this is {describe(first.value)}" if first is not None and len(self.positional) == 1 else ""
            self.scope.build.report(
                "NN115", f"`generate` takes one output of a network by position{what}", place,
                help="such as `generate(model.logits, start=1, length=20)`",
            )  # fmt: skip
            return None
        return first.value

    def _known(self, instance: NetworkInstance, graph: Graph, others: Mapping[str, Given]) -> bool:
        """Whether every name given is one of the network's inputs or a setting."""
        names = [entry.name for entry in graph.inputs]
        for name, each in others.items():
            if name not in names:
                known = (*names, *_NUMBERS, "start", "grow")
                similar = similar_to(name, known)
                self.scope.build.report(
                    "NN102", f"`generate` has no setting, and `{instance.name}` no input, `{name}`", each.name_span or each.span,
                    label=similar.label(), fix=self.scope.build.program.rename_fix(each.name_span or each.span, similar),
                    help=None if similar else f"there are {', '.join(f'`{each}`' for each in known)}",
                )  # fmt: skip
                return False
        return True

    def _grown(self, instance: NetworkInstance, graph: Graph, others: Mapping[str, Given]) -> InputEntry | None:
        """The input that is grown: the one that is named, or the only one that is not given."""
        left = [entry for entry in graph.inputs if entry.name not in others]
        chosen = self.named.get("grow")
        wanted = chosen.value if chosen is not None else left[0].name if len(left) == 1 else None
        found = [entry for entry in left if entry.name == wanted]
        if len(left) == 1 and found:
            return found[0]
        listed = ", ".join(f"`{entry.name}`" for entry in left)
        text = f"one input of `{instance.name}` is grown and the others are given, and left are {listed or 'none'}"
        self.scope.build.report(
            "NN114", text, chosen.span if chosen is not None else self.span, help="give the others by their names"
        )
        return None

    def _fits(self, member: InstanceMember, graph: Graph, grown: InputEntry) -> bool:
        """Whether the input holds tokens, and the output says of each place what comes next."""
        tokens = grown.value.type
        if not tokens.is_integer or tokens.rank != 2:
            self.scope.build.report(
                "NN115",
                f"what is grown are tokens, `index(vocab)[N, T]`, and `{grown.name}` of `{member.instance.name}` is {tokens}",
                self.span,
            )
            return False
        if member.name not in graph.outputs:
            similar = similar_to(member.name, graph.outputs)
            self.scope.build.report(
                "NN111", f"the network `{member.instance.name}` has no output `{member.name}`", member.span, label=similar.label(),
                help=None if similar else f"it has {', '.join(f'`{name}`' for name in graph.outputs)}",
                fix=self.scope.build.program.rename_fix(member.span, similar),
            )  # fmt: skip
            return False
        logits = graph.outputs[member.name].type
        if not logits.is_float or logits.rank != 3 or logits.dims[:2] != tokens.dims:
            wanted = f"float32[{', '.join(map(str, tokens.dims))}, V]"
            self.scope.build.report(
                "NN115", f"`{member.name}` has to say of each place what comes next, {wanted}, and is {logits}", member.span
            )
            return False
        if tokens.classes is None:
            return True
        text = f"`{member.name}` is about {logits.dims[2]} kinds of tokens, and `{grown.name}` takes {tokens.classes}"
        claim = Relation(logits.dims[2], "<=", tokens.classes)
        return oblige(Obligation(claim, "NN206", "", text), member.instance.name, member.span, self.scope)

    # --- how ----------------------------------------------------------------------------------------------------------------

    def _settings(self) -> dict[str, Any] | None:
        found: dict[str, Any] = {}
        for name, (what, least, whole) in _NUMBERS.items():
            each = self.named.get(name)
            value = carry(each.value) if each is not None else None
            if each is None or value is None:
                continue
            kinds = (int,) if whole else (int, float)
            if (
                isinstance(value, bool)
                or not isinstance(value, kinds)
                or value < least
                or (name == "top_p" and not 0 < value <= 1)
            ):
                number = "a whole number" if whole else "a number"
                reach = "above 0 and at most 1" if name == "top_p" else f"of at least {least}"
                self.scope.build.report(
                    "NN107", f"`{name}` says {what}: {number} {reach}, and this is {describe(value)}", each.span
                )
                return None
            found[name] = value
        missing = [name for name in ("start", "length") if name not in self.named]
        if missing:
            listed = " and ".join(f"`{name}`" for name in missing)
            self.scope.build.report("NN104", f"`generate` needs {listed}", self.span, help="such as `start=1, length=20`")
            return None
        if "temperature" not in found and ("top_k" in found or "top_p" in found):
            found["temperature"] = 1.0
        if found.get("temperature") and found.get("beam", 1) > 1:
            self.scope.build.report(
                "NN404", "a beam search takes the likeliest sequences, so nothing is drawn", self.named["beam"].span,
                help="leave out `beam`, or `temperature`, `top_k` and `top_p`",
            )  # fmt: skip
            return None
        return found

    def _start(self, grown: InputEntry, classes: Dim) -> tuple[tuple[int, ...], Value | None, Dim] | None:
        """The beginning as tokens, or as a tensor, and how long it is."""
        each = self.named["start"]
        value = carry(each.value)
        if isinstance(value, str):
            return self._text(value, each, grown, classes)
        numbers = [value] if isinstance(value, int) and not isinstance(value, bool) else value
        if (
            isinstance(numbers, list | tuple)
            and numbers
            and all(isinstance(one, int) and not isinstance(one, bool) for one in numbers)
        ):
            wrong = [one for one in numbers if one < 0 or (isinstance(classes, int) and one >= classes)]
            if not wrong:
                return tuple(numbers), None, len(numbers)
            self.scope.build.report("NN206", f"{wrong[0]} is none of the {classes} tokens", each.span)
            return None
        if isinstance(value, Value) and value.type.is_integer and value.type.rank == 2:
            return (), value, value.type.dims[1]
        self.scope.build.report(
            "NN115",
            f"a beginning is a token, a list of tokens, a tensor `index(vocab)[N, T]` or a text, and this is {describe(value)}",
            each.span,
        )
        return None

    def _text(self, text: str, each: Given, grown: InputEntry, classes: Dim) -> tuple[tuple[int, ...], Value, Dim] | None:
        """A text is an input of the graph, which whoever has the vocabulary turns into tokens."""
        scope = self.scope
        if not scope.vocabularies:
            scope.build.report(
                "NN115", "a text to begin with needs the vocabulary of a text that the recipe learned from, in a `sample` item", each.span,
                help="give tokens: `start=1`",
            )  # fmt: skip
            return None
        if len(scope.vocabularies) > 1 or not text:
            why = (
                "the text is empty"
                if not text
                else f"the recipe has the vocabularies {', '.join(f'`{key}`' for key in scope.vocabularies)}"
            )
            scope.build.report("NN115", f"nothing can be begun with: {why}", each.span, help="give tokens instead of a text")
            return None
        name, size = f"text{len(scope.prompts)}", symbol("P")
        scope.prompts[name] = (text, scope.vocabularies[0])
        value = scope.build.add_input(name, TensorType((1, size), "int64", classes), each.span)
        scope.build.symbols[next(iter(variables(size)))] = SymbolOrigin(name, 1)
        return (), value, size

    # --- the node -----------------------------------------------------------------------------------------------------------

    def _emit(self, member: InstanceMember, graph: Graph, grown: InputEntry, others: Mapping[str, Given], settings: Mapping[str, Any],
              bindings: Mapping[Var, Dim]) -> Any:  # fmt: skip
        from nnspec.dims import substitute

        classes = graph.outputs[member.name].type.dims[2]
        start = self._start(grown, classes)
        if start is None:
            return POISON
        tokens, tensor, before = start
        batch, length = (as_var(dim) for dim in grown.value.type.dims)
        count = bindings.get(batch) if batch is not None else None
        count = self.scope.names.get("N", 1) if count is None else count
        if tensor is not None and tensor.type.dims[0] != 1:
            text = f"{tensor.type} begins {tensor.type.dims[0]} sequences, and there are {count}"
            if not oblige(
                Obligation(Relation(tensor.type.dims[0], "==", count), "NN201", "", text), "generate", self.span, self.scope
            ):
                return POISON
        type_ = TensorType((count, before + settings["length"]), "int64", classes)
        flop = substitute(
            graph.flop,
            {**bindings, **({length: 1} if length is not None else {}), **({batch: count} if batch is not None else {})},
        )
        reads = {name: carry(each.value) for name, each in others.items()}
        operator = Generate(
            member.instance.name, instances.key_of(member.instance, list(others.values()), self.scope), member.name, grown.name, tuple(reads),
            tokens, settings, type_, _most(graph, length), settings["length"] * flop,
        )  # fmt: skip
        found = self.scope.build.add_node(operator, {**reads, **({"start": tensor} if tensor is not None else {})}, {"output": type_}, None,
                                          self.span, self.scope.frames)  # fmt: skip
        if isinstance(carry(self.named["start"].value), str):
            self.scope.spoken[found] = self.scope.vocabularies[0]
        return found


def _most(graph: Graph, length: Var | None) -> int | None:
    """The most tokens that the network takes: a bound that it states of the grown axis."""
    found = [
        guard.claim.right
        for guard in graph.guards
        if isinstance(guard.claim, Relation) and guard.claim.op == "<=" and isinstance(guard.claim.left, Poly)
        and as_var(guard.claim.left) is length and isinstance(guard.claim.right, int)
    ]  # fmt: skip
    return min(found, default=None)
