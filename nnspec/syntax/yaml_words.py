"""The words of the YAML form that reader, writer and schema share. `grammar/yaml.md` says what they mean.

A key of one name could be a value's name (`features: ...`) or a statement's word (`epochs: 10`): `WORDS` decides. A statement
whose key would be read the wrong way is spelled out: `values:` makes the key a word, ` =` at its end makes it a name.
"""

from __future__ import annotations

from typing import Final

TYPE_WORDS: Final = frozenset(("column", "input"))
"""Words after which a plain value is a type."""

WORDS: Final = TYPE_WORDS | {
    "output", "init", "minimize", "measure", "optimizer", "epochs", "batch_size", "steps", "episodes", "seed", "drop_last",
    "workers",
    "folds", "fold", "patience", "keep_best", "measure_every", "clip_grad_norm", "clip_grad_value", "ema", "accumulate", "precision",
    "memory_format", "activation_checkpointing", "fused_loss", "cuda_graphs", "parallel", "on_nan", "split", "step", "update", "freeze", "load",
    "act", "explore", "solved", "learn", "trials", "maximize",
}  # fmt: skip
"""Words that stand without a name of their own. Adding one changes what a YAML key of that name means."""

STATEMENT_KEYS: Final = ("type", "value", "values", "from", "where", "with")
"""Keys of a statement that is spelled out."""

ITEM_KEYS: Final = ("doc", "params", "value", "with")
"""Keys of an item; in an item whose statements stand beside them, only the first two."""

EACH: Final = "each"
"""The key of statements that share theirs."""

CONTROLS: Final = ("repeat", "scan", "if", "group")
"""First keys of steps that hold steps, in `do`."""

STEP_KEYS: Final = ("do", "take", "as")
"""Keys of a step that are no arguments."""
