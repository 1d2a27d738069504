"""`sample` items: what is drawn from the networks of a recipe once it has been trained. No torch.

An item sees the recipe's networks, and the fields of its data: of those, as many samples as are wanted, of the part that is measured last. It
belongs to the recipe of its name, or else to each recipe that has all the networks it speaks of. It is evaluated in inference mode; N is
how many samples are wanted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from nnspec.diagnostics import Diagnostic
from nnspec.dims import Poly, Var, substitute, symbol, variables
from nnspec.graph import bound_names, declared, expressions, naming
from nnspec.graph.build import Build, TooLarge
from nnspec.graph.ir import Graph, SymbolOrigin, Value
from nnspec.graph.program import Program
from nnspec.graph.scope import RecipeScope
from nnspec.graph.values import POISON, NetworkInstance, SourceFields, carry, is_silent
from nnspec.operators.kinds import describe
from nnspec.recipes.recipe import DataSource, Recipe
from nnspec.records import field, record
from nnspec.similar import similar_to
from nnspec.syntax import tree
from nnspec.syntax.node import Node

_WORDS = ("input", "output")


@record(frozen=True)
class Sample:
    """What can be drawn from a trained recipe. `graph` calls the recipe's instances and takes the tensors that the item asks for, and
    `size` is the symbol of how many samples are wanted."""

    name: str
    recipe: str
    graph: Graph
    size: Var
    #: Texts to begin with, by the input that their tokens come in, with the key of their vocabulary; and outputs that are read as text.
    prompts: dict[str, tuple[str, str]] = field(default_factory=dict)
    spoken: dict[str, str] = field(default_factory=dict)


def inputs_of(item: tree.Item) -> Iterator[str]:
    """What a sample asks for, by name."""
    for statement in item.body.statements if isinstance(item.body, tree.Body) else ():
        if statement.word is not None and statement.word.id == "input":
            yield from (name.id for name in statement.names)


def build_samples(program: Program, item: tree.Item, recipes: dict[str, Recipe]) -> list[Sample]:
    """The sample for each recipe that it belongs to; empty where it has errors, which have been reported."""
    owners = _owners(program, item, recipes)
    if not owners:
        program.mark_all_used(item.span)
        return []
    found = [_SampleRun(program, item, recipes[name], program.instances[name]).sample() for name in owners]
    if None in found:
        program.mark_all_used(item.span)
    return [sample for sample in found if sample is not None]


def _owners(program: Program, item: tree.Item, recipes: dict[str, Recipe]) -> list[str]:
    """The recipes that the item belongs to. Reported where there is none, unless a recipe with errors may be it."""
    name = item.name.id
    if name in recipes:
        return [name]
    items = [each for each in program.file.items if isinstance(each, tree.Item) and each.word.id == "train"]
    broken = [each for each in items if each.name.id not in recipes]
    if any(each.name.id == name for each in broken):
        return []
    known = {recipe: {*program.instances[recipe], *_by_network(program.instances[recipe])} for recipe in recipes}
    called = [
        each
        for each in dict.fromkeys(_names(item))
        if any(each in names for names in known.values()) or _is_network(each, program)
    ]
    found = [recipe for recipe, names in known.items() if called and set(called) <= names]
    if not found and not any(called and set(called) <= set(_names(each)) for each in broken):
        missing = ", ".join(f"`{each}`" for each in called)
        similar = similar_to(name, recipes)
        why = f"none trains {missing}" if called else "it names no network"
        program.report(
            Diagnostic(
                "NN413", f"no recipe is called `{name}`, and {why}", item.name.span, label=similar.label("a similar one exists"),
                fix=program.rename_fix(item.name.span, similar), help="give it the name of the recipe that trains its networks",
            )
        )  # fmt: skip
    return found


def _by_network(instances: Mapping[str, NetworkInstance]) -> dict[str, NetworkInstance]:
    """Instances by the name of their network, where a recipe has one of it."""
    found: dict[str, list[NetworkInstance]] = {}
    for each in instances.values():
        found.setdefault(each.maker.item.name.id, []).append(each)
    return {name: each[0] for name, each in found.items() if len(each) == 1 and name not in instances}


def _names(node: Node) -> Iterator[str]:
    if isinstance(node, tree.Name):
        yield node.id
    for child in node.children():
        yield from _names(child)


def _is_network(name: str, program: Program) -> bool:
    found = program.home.items.get(name)
    return found is not None and found[0].word.id == "network"


class _SampleRun:
    """One pass over the statements, with the networks of one recipe."""

    def __init__(self, program: Program, item: tree.Item, recipe: Recipe, instances: dict[str, NetworkInstance]) -> None:
        self.program, self.item, self.recipe = program, item, recipe
        self.trained = {name: each for name, each in instances.items() if name in recipe.instances}
        self.build = Build(program, item.name.id, training=False, sizes={})
        self.scope = RecipeScope(self.build, program.home, {**self.trained, **_by_network(self.trained)})
        for name, each in self.trained.items():
            if name not in program.home.items:
                self.scope.names[name], self.scope.spans[name] = each, each.span
        self.size = symbol("N")
        self.scope.bind("N", self.size, item.name.span)
        self.scope.vocabularies = tuple(text.key for source in recipe.sources.values() for text in source.texts.values())
        for source in recipe.sources.values():
            self.scope.bind(source.name, self._fields(source), source.span)
        self.outputs: dict[str, Value] = {}

    def sample(self) -> Sample | None:
        body = self.item.body
        if not isinstance(body, tree.Body):
            self.build.report("NN413", f"the sample `{self.item.name.id}` has no body", self.item.span)
            return None
        if self.program.lost.tore(self.item):
            return None
        try:
            for statement in body.statements:
                self._statement(statement)
        except TooLarge:
            return None
        self._check()
        if self.build.failed:
            return None
        read = {value for node in self.build.nodes for value in node.reads()} | set(self.outputs.values())
        inputs = tuple(entry for entry in self.build.inputs if entry.value in read or "." not in entry.name)
        graph = Graph(
            f"{self.item.name.id}.sample", inputs, tuple(self.build.nodes), self.outputs, self.build.weights,
            tuple(self.build.guards), dict(self.build.symbols), span=self.item.span,
        )  # fmt: skip
        spoken = {name: self.scope.spoken[value] for name, value in self.outputs.items() if value in self.scope.spoken}
        size = next(iter(variables(self.size)))
        return Sample(self.item.name.id, self.recipe.name, graph, size, dict(self.scope.prompts), spoken)

    def _fields(self, source: DataSource) -> SourceFields:
        """The fields of a source, N samples of each, as inputs of the graph."""
        fields = SourceFields(source.name, source.operator)
        for name, type_ in source.fields.items():
            key = f"{source.name}.{name}"
            batch = {var: self.size for dim in type_.dims if isinstance(dim, Poly) for var in variables(dim) if var.name == "N"}
            own = type_.with_dims([substitute(dim, batch) for dim in type_.dims])
            fields.fields[name] = self.build.add_input(key, own, source.span)
            for axis, dim in enumerate(own.dims):
                for var in variables(dim) if isinstance(dim, Poly) else ():
                    self.build.symbols.setdefault(var, SymbolOrigin(key, axis))
        return fields

    def _statement(self, statement: tree.Statement) -> None:
        word = statement.word.id if statement.word is not None else ""
        if word == "input":
            self._input(statement)
        elif word == "output":
            self._output(statement)
        elif word:
            assert statement.word is not None
            similar = similar_to(word, _WORDS)
            self.build.report(
                "NN109", f"`{word}` is not a statement of a sample", statement.word.span, label=similar.label("a similar one exists"),
                fix=self.program.rename_fix(statement.word.span, similar), help=None if similar else "it has `input`, `output` and bindings",
            )  # fmt: skip
            for name in statement.names:
                self.scope.bind(name.id, POISON, name.span)
        elif len(statement.values) != 1:
            self.build.report("NN115", "one value belongs here", statement.span)
            bound_names.bind_values(statement, POISON, self.scope)
        elif not statement.names:  # a syntax error took them, which has been reported
            expressions.evaluate(statement.values[0], self.scope)
        else:
            self.scope.numbering = naming.numbering(statement.names[0].id, statement.values, self.scope)
            bound_names.bind_values(statement, expressions.evaluate(statement.values[0], self.scope), self.scope)

    def _input(self, statement: tree.Statement) -> None:
        """A tensor that is given when samples are drawn; or a number or text, which `--set` changes."""
        type_ = statement.type
        for name in statement.names:
            if type_ is None:
                self.build.report("NN110", f"the input `{name.id}` needs a type, such as `str` or `float32[1, 784]`", name.span)
                self.scope.bind(name.id, POISON, name.span)
            elif declared.is_parameter_type(type_) and type_.name != "block":
                self._setting(name, type_, statement)
            else:
                tensor = declared.introduce(type_, name.id, self.scope)
                value = self.build.add_input(name.id, tensor, name.span) if tensor is not None else POISON
                bound_names.bind_value(name, value, self.scope)

    def _setting(self, name: tree.Name, type_: tree.Type, statement: tree.Statement) -> None:
        value = self.program.settings.get(name.id)
        if value is None and statement.values:
            value = carry(expressions.evaluate(statement.values[0], self.scope))
        if value is None and not type_.optional:
            self.build.report(
                "NN413", f"the input `{name.id}` has no value", name.span, help=f"give it a default, or `--set {name.id}=...`"
            )
            value = POISON
        elif not is_silent(value) and not declared.fits_parameter(type_, value):
            self.build.report("NN106", f"`{name.id}` is {type_.span.text}, and this is {describe(value)}", statement.span)
            value = POISON
        bound_names.bind_value(name, value, self.scope)

    def _output(self, statement: tree.Statement) -> None:
        names: Sequence[tree.Name | None] = statement.names or [None] * len(statement.values)
        for name, expression in zip(names, statement.values or statement.names, strict=False):
            self.scope.numbering = naming.numbering(name.id if name else "", (expression,), self.scope)
            value = carry(expressions.evaluate(expression, self.scope))
            label = name.id if name else expression.id if isinstance(expression, tree.Name) else "output"
            place = name.span if name else expression.span
            if is_silent(value):
                continue
            if not isinstance(value, Value):
                self.build.report("NN115", f"an output of a sample is a tensor, and this is {describe(value)}", place)
            elif label in self.outputs:
                self.build.report("NN108", f"there are two outputs `{label}`", place, help="give the second another name")
            else:
                if statement.type is not None:
                    declared.assert_type(statement.type, value, label, self.scope)
                self.outputs[label] = value

    def _check(self) -> None:
        """A sample shows trained networks, changes nothing, and follows no gradient."""
        for name, each in self.scope.instances.items():
            if each not in self.trained.values():
                known = ", ".join(f"`{other}`" for other in self.trained)
                self.build.report(
                    "NN413", f"the recipe `{self.recipe.name}` does not train `{name}`", each.span, help=f"it has {known}"
                )
        for node in self.build.nodes:
            if node.operator.recipe_only:
                self.build.report(
                    "NN115", f"`{node.operator.name}` belongs to a training, not to what is drawn from it", node.origin
                )
        if not self.outputs and not self.build.failed:
            self.build.report(
                "NN305",
                f"the sample `{self.item.name.id}` has no output",
                self.item.name.span,
                help="end it with `output image = ...`",
            )
