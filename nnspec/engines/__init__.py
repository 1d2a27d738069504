"""Ways to run a compiled network, and the choice among them by measuring on this machine.

- `compile_for(graph, ...)` is the door: a `torch.fx.GraphModule` that runs the fastest way at given sizes, and every other way elsewhere.
- Each engine stands in a file of its own; `nnspec.engines.choice` measures and remembers.

The graph of typed nodes, folded and not fused, is what all engines are made from and held against.
"""

from nnspec.engines.choice import Decision, Timing
from nnspec.engines.compiled import compile_for
from nnspec.engines.engine import Engine, Subject
from nnspec.engines.table import ENGINES

__all__ = ["ENGINES", "Decision", "Engine", "Subject", "Timing", "compile_for"]
