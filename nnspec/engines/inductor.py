"""torch.compile with its default backend: https://docs.pytorch.org/docs/stable/torch.compiler.html. It writes C++ and compiles it, which takes
seconds to minutes, so it is tried only where it is asked for by name."""

from __future__ import annotations

import torch
from torch import Tensor

from nnspec.engines.engine import Engine, Run, Subject, Unsuitable
from nnspec.exporting.aoti import lacking_compiler
from nnspec.torch_backend.compile import compile_graph


class Inductor(Engine):
    """The network compiled by Inductor, with its weights frozen into the program."""

    name = "inductor"
    asked_only = True

    def missing(self) -> str | None:
        lacking = lacking_compiler()
        return None if lacking is None else f"it {lacking}"

    def prepare(self, subject: Subject) -> Run:
        import torch._inductor.config as inductor

        # Without checks: they are Python, at which a graph would break, and the sizes are known here.
        module = compile_graph(subject.graph, mode="inference", state=subject.state, guards=False).requires_grad_(False)
        compiled = torch.compile(module, dynamic=False)
        with torch.no_grad(), inductor.patch(freezing=True):
            try:
                compiled(*subject.inputs)
            except torch._dynamo.exc.TorchDynamoException as error:
                raise Unsuitable(f"Inductor cannot compile it: {str(error).strip().splitlines()[0][:160]}") from error

        def run(inputs: tuple[Tensor, ...]) -> list[Tensor]:
            with torch.no_grad():
                return subject.outputs(compiled(*inputs))

        return run
