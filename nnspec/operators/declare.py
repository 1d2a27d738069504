"""How an operator is declared: once, in one class, without torch.

```python
@operator("Conv2d", source="Dumoulin & Visin 2016, arXiv:1603.07285")
class Conv2d(Operator):
    \"\"\"Slide `out_channels` learned windows over an image.\"\"\"

    input: TensorType = tensor(rank=4, doc="(N, C, H, W)")
    out_channels: Dim = attribute(Size(), ge=1, doc="number of windows, hence channels of the result")
    kernel_size: tuple[int, int] = attribute(Pair(), ge=1, doc="window height and width, px")

    def infer(self) -> Inferred: ...
    def cost(self) -> Cost: ...
    def weights(self) -> tuple[Weight, ...]: ...
    def lower(self) -> TorchCall: ...
```

The order of the class body is the signature. A Capitalised operator takes its attributes by position or name, and its tensors from
the arrow or by name. A lower-case function takes both in the order declared, as `torch.nn.functional` does;
the arrow fills its first required tensors. Instances are bound calls: `self.input` is a `TensorType` (None where an optional tensor is
not given, a tuple of types for a variadic one, a number where `number=True` admits one), `self.kernel_size` the accepted value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal, NamedTuple, TypeVar

from nnspec.dims import Dim
from nnspec.dims.claims import Claim
from nnspec.operators.kinds import Kind, Refusal
from nnspec.operators.table import OperatorTable
from nnspec.types import TensorType

REQUIRED: Any = type("Required", (), {"__repr__": lambda self: "required"})()


class Field:
    """An entry of an operator's signature."""

    name: str = ""
    doc: str
    required: bool

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name.rstrip("_")


class TensorField(Field):
    """A tensor that the operator reads. `dtype` names a domain: see `DOMAINS`."""

    def __init__(
        self, doc: str, dtype: str, rank: int | tuple[int, ...] | None, optional: bool, variadic: bool, number: bool,
    ) -> None:  # fmt: skip
        self.doc, self.dtype, self.rank = doc, dtype, rank
        self.optional, self.variadic, self.number = optional, variadic, number
        self.required = not optional


class AttributeField(Field):
    """A setting of the operator: its kind, default and range."""

    def __init__(self, kind: Kind, default: Any, doc: str, ge: float | None, gt: float | None,
                 le: float | None, lt: float | None, keyword_only: bool) -> None:  # fmt: skip
        self.kind, self.default, self.doc = kind, default, doc
        self.ge, self.gt, self.le, self.lt = ge, gt, le, lt
        self.keyword_only = keyword_only
        self.required = default is REQUIRED

    def accept(self, value: Any) -> Any:
        """The value as the operator wants it; raises Refusal with code NN106 or NN107."""
        accepted = self.kind.accept(value)
        self.kind.check_range(accepted, self.ge, self.gt, self.le, self.lt)
        return accepted


#: What the element type of a tensor may be. "index" admits integers with or without a known number of classes.
DOMAINS: dict[str, tuple[str, ...]] = {
    "float": ("float32", "float64", "float16", "bfloat16"),
    "index": ("int64", "int32"),
    "integer": ("int64", "int32", "int16", "int8", "uint8"),
    "bool": ("bool",),
    "mask": ("bool", "float32", "float64", "float16", "bfloat16"),
    "number": ("float32", "float64", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8"),
    "real": ("float32", "float64", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool"),
    "numeric": ("float32", "float64", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "complex64"),
    "inexact": ("float32", "float64", "float16", "bfloat16", "complex64"),
    "any": ("float32", "float64", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool", "complex64"),
}


def tensor(
    *, doc: str = "", dtype: str = "float", rank: int | tuple[int, ...] | None = None,
    optional: bool = False, variadic: bool = False, number: bool = False,
) -> Any:  # fmt: skip
    """Declare a tensor to read. `rank` is checked before `infer` runs, and so is the element type."""
    return TensorField(doc, dtype, rank, optional, variadic, number)


def attribute(
    kind: Kind, default: Any = REQUIRED, *, doc: str = "", ge: float | None = None, gt: float | None = None,
    le: float | None = None, lt: float | None = None, keyword_only: bool = False,
) -> Any:  # fmt: skip
    """Declare a setting. A `Pair` or list is in range when every member is."""
    return AttributeField(kind, default, doc, ge, gt, le, lt, keyword_only)


class Obligation(NamedTuple):
    """What has to hold for the operator to run. `blame` is the field at which the caret goes; "tensors.1" is the second of several."""

    claim: Claim
    code: str
    blame: str
    message: str
    notes: tuple[str, ...] = ()
    help: str | None = None


class Inferred(NamedTuple):
    """The results by name, the carried one first, and the obligations."""

    outputs: dict[str, TensorType]
    obligations: tuple[Obligation, ...] = ()


class Weight(NamedTuple):
    """A tensor that the operator owns. `name` is its state-dict key below the operator's path; a buffer is not trainable."""

    name: str
    dims: tuple[Dim, ...]
    dtype: str = "float32"
    trainable: bool = True
    persistent: bool = True


class Cost(NamedTuple):
    """The work of one call. A multiply and an add count two; as torch's own counter does, only the products of
    convolutions, matrix products and attention are counted, and recurrent layers by their matrix products."""

    flop: Dim = 0


class Ref(NamedTuple):
    """In a TorchCall: the value of a tensor field (for a variadic field, the list of them)."""

    field: str


class TorchCall(NamedTuple):
    """How torch does it, as data.

    - `module`: `target` is a class such as "torch.nn.Conv2d", made once with `settings`, called with `args` and `kwargs`.
    - `function`: `target` is a function such as "torch.cat" or "operator.add".
    - `method`: `target` is a method of the first argument, such as "transpose".

    `args`, `kwargs` hold `Ref`s, numbers, text, and `Dim`s (symbolic ones are computed from the inputs' shapes at run time),
    nested in lists, tuples and slices. A module or function with several results returns a tuple in the order of `Inferred.outputs`,
    unless `select` maps each output to its place: an index, or an attribute's name.
    """

    kind: Literal["module", "function", "method"]
    target: str
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = {}
    settings: Mapping[str, Any] = {}
    select: Mapping[str, int | str] = {}


def call_module(target: str, *args: Any, settings: Mapping[str, Any] | None = None, **kwargs: Any) -> TorchCall:
    return TorchCall("module", target, args, kwargs, settings or {})


def call_function(target: str, *args: Any, **kwargs: Any) -> TorchCall:
    return TorchCall("function", target, args, kwargs)


def call_method(target: str, *args: Any, **kwargs: Any) -> TorchCall:
    return TorchCall("method", target, args, kwargs)


class Operator:
    """A bound call of something that the language can do. See the module's text for how a subclass is written.

    `infer` raises `Refusal` where no result type can be given; what merely has to hold goes into obligations.
    """

    name: ClassVar[str]
    family: ClassVar[str]
    source: ClassVar[str] = ""
    fields: ClassVar[dict[str, Field]] = {}
    #: The result differs from call to call, so it must not be merged with another or computed ahead of time.
    random: ClassVar[bool] = False
    #: It changes samples in training only; outside, `measured` says what stands for it.
    augments: ClassVar[bool] = False
    #: Behaves differently in training and inference (Dropout, BatchNorm).
    mode_dependent: ClassVar[bool] = False
    #: What the operator is where it is no part of a network: a measurement, an optimizer, a schedule of a number, a source of data,
    #: what makes indices of text, a part of an agent, a way to fill a weight at first. All but the last are never lowered; a draw
    #: (`normal`) is an initializer and a value.
    is_metric: ClassVar[bool] = False
    lower_is_better: ClassVar[bool] = False
    is_optimizer: ClassVar[bool] = False
    is_schedule: ClassVar[bool] = False
    is_source: ClassVar[bool] = False
    #: Of sources: fields that hold text, by which samples can be ordered.
    texts: ClassVar[tuple[str, ...]] = ()
    is_tokenizer: ClassVar[bool] = False
    #: A part of an agent (`nnspec.operators.acting`), and which.
    is_acting: ClassVar[bool] = False
    is_environment: ClassVar[bool] = False
    is_memory: ClassVar[bool] = False
    is_exploration: ClassVar[bool] = False
    is_initializer: ClassVar[bool] = False
    #: Belongs to a recipe alone: it keeps state of a training, or follows its gradients. Networks are pure.
    recipe_only: ClassVar[bool] = False
    #: Belongs to the body of a `data` item: it is fitted to the training part.
    data_only: ClassVar[bool] = False
    #: Where the text gives the fields, by name: spans that `graph` enters for those who write messages. Empty for calls of passes.
    written: Mapping[str, Any] = {}

    def __init_subclass__(cls) -> None:
        inherited = {name: field for base in reversed(cls.__mro__[1:]) for name, field in getattr(base, "fields", {}).items()}
        own = {value.name: value for value in cls.__dict__.values() if isinstance(value, Field)}
        cls.fields = inherited | own

    def __init__(self, tensors: Mapping[str, Any] | None = None, attributes: Mapping[str, Any] | None = None) -> None:
        """Bind types and accepted attribute values by field name; what is left out takes its default."""
        tensors, attributes = tensors or {}, attributes or {}
        for name, field in self.fields.items():
            if isinstance(field, AttributeField):
                value = attributes.get(name, field.default)
            else:
                value = tensors.get(name, () if isinstance(field, TensorField) and field.variadic else None)
            self.__dict__[name] = value
            if name in ("lambda", "from", "return"):
                self.__dict__[name + "_"] = value

    @classmethod
    def tensor_fields(cls) -> dict[str, TensorField]:
        return {name: field for name, field in cls.fields.items() if isinstance(field, TensorField)}

    @classmethod
    def attribute_fields(cls) -> dict[str, AttributeField]:
        return {name: field for name, field in cls.fields.items() if isinstance(field, AttributeField)}

    def infer(self) -> Inferred:
        """Result types and obligations, from the bound types and attributes."""
        raise NotImplementedError

    @property
    def counts_classes(self) -> bool:
        """Of losses: the weights of the classes are those that a recipe's data bring."""
        return False

    @property
    def part_samples(self) -> dict[str, int] | None:
        """Of sources that come in parts: the samples of each, by name."""
        return None

    def in_training(self) -> tuple[Obligation, ...]:
        """What has to hold besides, where the network is being trained."""
        return ()

    def cost(self) -> Cost:
        """The work of one call. Zero unless the operator says otherwise."""
        return Cost()

    def weights(self) -> tuple[Weight, ...]:
        """What the operator owns, in state-dict order."""
        return ()

    def lower(self) -> TorchCall:
        """How torch does it."""
        raise NotImplementedError

    def attributes(self) -> dict[str, Any]:
        """Every setting by name, defaults included."""
        return {name: self.__dict__[name] for name in self.attribute_fields()}

    def replace(self, **changes: Any) -> Operator:
        """The same call with other attributes (for passes)."""
        tensors = {name: self.__dict__[name] for name in self.tensor_fields()}
        return type(self)(tensors, self.attributes() | changes)

    def __repr__(self) -> str:
        default = {name: field.default for name, field in self.attribute_fields().items()}
        shown = [f"{name}={value!r}" for name, value in self.attributes().items() if value != default[name]]
        return f"{self.name}({', '.join(shown)})"


OPERATORS = OperatorTable()

OperatorClass = TypeVar("OperatorClass", bound=type[Operator])


def operator(name: str, *, source: str = "") -> Callable[[OperatorClass], OperatorClass]:
    """Enter a class into the table under the name that specs use. `source` cites the paper or the documentation page."""

    def enter(cls: OperatorClass) -> OperatorClass:
        cls.name, cls.source, cls.family = name, source, cls.__module__.rpartition(".")[2]
        OPERATORS.enter(cls)
        return cls

    return enter


__all__ = [
    "DOMAINS", "OPERATORS", "REQUIRED", "AttributeField", "Cost", "Field", "Inferred", "Obligation", "Operator", "Ref",
    "Refusal", "TensorField", "TorchCall", "Weight", "attribute", "call_function", "call_method", "call_module",
    "operator", "tensor",
]  # fmt: skip
