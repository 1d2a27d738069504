"""The one syntax tree of both forms, `.nn` and YAML. Shapes of statements only: no operator or setting is known here.

Chains are flat: `a + b - c` is one `Operation` with three operands, so a tree is never deeper than the parser's stack.
"""

from __future__ import annotations

from nnspec.syntax.node import Node

# --- expressions -------------------------------------------------------------------------------------------------


class Expression(Node):
    """Anything that stands for a value, a chain of steps, or a maker of layers."""


class Broken(Expression):
    """Stands for what was dropped after a syntax error, which has been reported. Poison to every later stage."""


class Name(Expression):
    """`features`"""

    id: str


class Number(Expression):
    """`64`, `1e-4`, `20K`, `4GiB`, `61_706`: as written; `value` is the int or float it means."""

    text: str
    value: int | float


class String(Expression):
    """`"text"`: `value` with escapes resolved. In `as` and in messages, `{expression}` inside is computed later."""

    value: str


class Boolean(Expression):
    """`true`, `false`"""

    value: bool


class NoneValue(Expression):
    """`none`"""


class Group(Expression):
    """`( ... )`, kept because the format keeps parentheses as written."""

    inner: Expression


class Argument(Node):
    """`64` or `padding=1`; in a call, or in a tuple."""

    name: Name | None
    value: Expression


class Tuple(Expression):
    """`(x, edges)`, `(train=0.8, test=0.2)`: two or more items, or a named one, in parentheses."""

    items: tuple[Argument, ...]


class List(Expression):
    """`[64, 128]`"""

    items: tuple[Expression, ...]


class Comprehension(Expression):
    """`[x -> Conv2d(8, k) for k in [1, 3, 5]]`"""

    element: Expression
    variable: Name
    values: Expression


class Call(Expression):
    """`Conv2d(64, 3)`, `wte(tokens)`, `LSTM(64)`"""

    function: Expression
    arguments: tuple[Argument, ...]


class Slice(Node):
    """`1:`, `::2`, `a:b`; only in a subscript."""

    start: Expression | None
    stop: Expression | None
    step: Expression | None


class Ellipsis(Node):
    """`...`, in a subscript or among the dimensions of a type."""


class Subscript(Expression):
    """`x[:, -1]`, `depths[i]`, `normal[N, 100]`"""

    value: Expression
    indices: tuple[Expression | Slice | Ellipsis, ...]


class Member(Expression):
    """`wte.weight`, `LSTM(64).last`, `r.h_n`"""

    value: Expression
    name: Name


class Unary(Expression):
    """`-x`, `+x`, `not x`"""

    operator: str
    operand: Expression


class Operation(Expression):
    """`a + b - c`: one level of precedence, flat; `operators` has one entry less than `operands`.

    Levels: `or`; `and`; comparisons (chained as in Python); `+ -`; `* / // % @`; `**` (two operands, to the right).
    """

    operators: tuple[str, ...]
    operands: tuple[Expression, ...]


class Conditional(Expression):
    """`if c then a else b`"""

    test: Expression
    then: Expression
    otherwise: Expression


class Path(Node):
    """The name after `as`: `conv1`, `downsample.0`; or a computed string, `"layer{i + 1}"`."""

    parts: tuple[str, ...]
    computed: String | None


class Named(Expression):
    """`Conv2d(64, 3) as conv1`"""

    value: Expression
    path: Path


class Pipeline(Expression):
    """`x -> Conv2d(8) -> ReLU`: the head, then one step or more. With a maker as its head it is a maker itself."""

    head: Expression
    steps: tuple[Expression, ...]


class Repeat(Expression):
    """Step `repeat 3 { A -> B }`, `repeat w in widths { ... }`; the body is one step or a `Pipeline` of steps."""

    variable: Name | None
    count: Expression
    body: Expression


class Scan(Expression):
    """Step `scan { Cell(64) }`, `scan(reverse=true) { ... }`"""

    arguments: tuple[Argument, ...]
    body: Expression


class OptionalStep(Expression):
    """Step `if c { A -> B }`: as if left out when c is false."""

    test: Expression
    body: Expression


# --- types -------------------------------------------------------------------------------------------------------


class Type(Node):
    """`float32[N, 3, H, W]`, `index(vocab)[N, T]`, `category("ham", "spam")`, `int`, `[int]`, `int?`, `block`.

    A list type has the name "list" and its element type as `element`. `dimensions` is None where no brackets stand.
    The name is "" where a syntax error took it.
    """

    name: str
    arguments: tuple[Argument, ...]
    dimensions: tuple[Expression | Ellipsis, ...] | None
    element: Type | None
    optional: bool
    _defaults = {"arguments": (), "dimensions": None, "element": None, "optional": False}


# --- statements and items ----------------------------------------------------------------------------------------


class Condition(Node):
    """A test after `where`, and the message that the string after it gives."""

    test: Expression
    message: String | None


class Statement(Node):
    """`[word] name, ... [: type] [= value] [from origin] [where ...] [{ body }]`, or `word expression, ...  [...]`.

    | text | word | names | type | values |
    | `h = x -> A` | None | h | None | (x -> A,) |
    | `input a, b: T` | input | a, b | T | () |
    | `output logits: T = e` | output | logits | T | (e,) |
    | `output e`, `epochs 10`, `measure a, b` | as written | () | None | the expressions |
    | `step critic(every=5) { }` | step | () | None | (critic(every=5),) |

    `output mu` has no names and the value `mu`. A name and nothing else is a value, not a name, in every word's statement.
    A statement that a syntax error took has no word, no names, and a `Broken` value.
    """

    word: Name | None
    names: tuple[Name, ...]
    type: Type | None
    values: tuple[Expression, ...]
    origin: Expression | None
    conditions: tuple[Condition, ...]
    body: Body | None
    _defaults = {
        "word": None, "names": (), "type": None, "values": (), "origin": None, "conditions": (), "body": None,
    }  # fmt: skip


class Body(Node):
    """`{ ... }`. Its comments' `inside` are those before the closing brace."""

    statements: tuple[Statement, ...]


class Parameter(Node):
    """`classes: int = 10`, `lr: float = 1e-3 in log(1e-4, 1e-1)`"""

    name: Name
    type: Type
    default: Expression | None
    range: Expression | None
    _defaults = {"default": None, "range": None}


class Item(Node):
    """Something at the top level.

    | text | word | name | parameters | value | body |
    | `network A(n: int) { }`, `block`, `train`, `agent`, `data`, `sample` | as written | A | ... | None | statements |
    | `network B = A(n=3)`, `data D = CSV("f") { }` | as written | B | () | the call | perhaps |
    | `ensure A { params == 5; causal(x -> y) }` | ensure | A | () | None | `Claims` |
    """

    word: Name
    name: Name
    parameters: tuple[Parameter, ...]
    value: Expression | None
    body: Body | Claims | None
    _defaults = {"parameters": (), "value": None, "body": None}


class Claims(Node):
    """The body of `ensure`: expressions that have to be true."""

    claims: tuple[Expression, ...]


class Version(Node):
    """`spec 1`"""

    number: Number


class Imported(Node):
    """`ResNet as Net` in a `use`."""

    name: Name
    alias: Name | None


class Use(Node):
    """`use A, B as C from "other.nn"`"""

    names: tuple[Imported, ...]
    path: String


class File(Node):
    """A whole spec. Its comments' `inside` are those after the last item."""

    items: tuple[Version | Use | Item, ...]
