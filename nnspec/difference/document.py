"""A difference as one JSON object: the stable contract for programs.

```
{"version": 1, "before": "a.nn@HEAD", "after": "a.nn", "different": true,
 "files": [FILE], "checkpoints": [CHECKPOINT]}
```

FILE has `before` and `after` (what the sides are called, null where one is missing), `twin` (the same spec in the other form, of
which the same is to be said, or null), `status` ("same", "changed", "added", "removed";
"broken" where errors keep the two from being compared), `findings` (the errors, as `check --json` gives them, with their `side`),
`networks`, `recipes`, `claims` (by network), `items` (`{"what", "name", "status", "lines", "parameters"}`: what only one side has, and what
is compared by its text: "changed", or "branch" for what the parameters do not build), and `reworded` (items that are not written alike).

A network has `before`, `after` (names), `status` ("same", "changed", "renamed"), `summary` (a sentence), `parameters`, `inputs`,
`outputs`, `conditions` (lists of `{"name", "before", "after"}`; "" where a side does not have it), `layers` (one entry for each edit,
see below), `renamed_layers` (`{"before", "after", "layers"}`), `rewired_outputs`, `reordered` (a number), `totals`
(`{"before", "after", "before_number", "after_number"}` by quantity: expressions for any size, and numbers at `sizes`), `sizes`,
`variants` (differences only in training or with optional inputs, by what they are called), and `weights`.

An entry of `layers` has `kind` ("added", "removed", "retyped", "changed", "moved", "rewired", "resized", "shared"), `block` (the name of a block
that came or went as a whole, else null), `count`, `parameters` (of what was added or removed), `details` (a list of settings, weights
or connections), and `places`: for each layer `{"before", "after"}`, each null or `{"path", "operator", "call", "within", "file", "line"}`.

`weights` has `summary`, `mapping` (old key to new key, of all that load), `renamed` (the part of it that is not the same), `resized`
(`{"before", "after", "before_shape", "after_shape"}`), `removed`, `added`, and `traps`: old keys that name a weight of the same size in
another layer now.

CHECKPOINT has `path`, `network`, `prefix`, `missing`, and the same as `weights`, for the tensors of the file.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nnspec.difference.changes import Change, Detail
from nnspec.difference.checkpoints import CheckpointReport
from nnspec.difference.copies import Group, Unit
from nnspec.difference.files import Difference, FileDifference, errors
from nnspec.difference.layers import Layer
from nnspec.difference.networks import Layers, NetworkDifference
from nnspec.difference.recipes import RecipeDifference
from nnspec.difference.sentences import checkpoint_sentence, network_sentence
from nnspec.difference.specs import Item, SpecDifference
from nnspec.difference.totals import Totals
from nnspec.difference.weight_wording import weight_sentence
from nnspec.difference.weights import Weights
from nnspec.difference.wording import Word, plain
from nnspec.dims import Dim, format_dim
from nnspec.render.json import finding_object

VERSION = 1


def document(difference: Difference) -> dict[str, Any]:
    """The whole object."""
    return {
        "version": VERSION,
        "before": difference.before,
        "after": difference.after,
        "different": difference.differs,
        "files": [_file(file) for file in difference.files],
        "checkpoints": [_checkpoint(checkpoint) for checkpoint in difference.checkpoints],
    }


def _file(file: FileDifference) -> dict[str, Any]:
    return {
        "before": file.before.name if file.before is not None else file.identical or None,
        "after": file.after.name if file.after is not None else file.identical or None,
        "twin": file.twin or None,
        "status": file.status,
        "findings": [
            {"side": side, **finding_object(finding, finding.fingerprint)}
            for side, own in (("before", file.before), ("after", file.after))
            if own is not None
            for finding in errors(own.report)
        ],
        **_spec(file.spec),
    }


def _spec(spec: SpecDifference | None) -> dict[str, Any]:
    if spec is None:
        return {"networks": [], "recipes": [], "claims": {}, "items": [], "reworded": []}
    return {
        "networks": [_network(network) for network in spec.networks],
        "recipes": [_recipe(recipe) for recipe in spec.recipes],
        "claims": {name: _details(details) for name, details in spec.claims.items()},
        "items": [_item(item) for item in spec.items],
        "reworded": list(spec.reworded),
    }


def _item(item: Item) -> dict[str, Any]:
    return {
        "what": item.what,
        "name": item.name,
        "status": item.status,
        "lines": list(item.lines),
        "parameters": _plain(item.graph.parameter_count) if item.graph is not None else None,
    }


def _details(details: Iterable[Detail]) -> list[dict[str, str]]:
    return [{"name": detail.name, "before": detail.before, "after": detail.after} for detail in details]


def _network(network: NetworkDifference) -> dict[str, Any]:
    return {
        "before": network.before,
        "after": network.after,
        "status": network.status,
        "summary": plain(network_sentence(network)),
        "parameters": _details(network.parameters),
        "inputs": _details(network.inputs),
        "outputs": _details(network.outputs),
        "conditions": _details(network.conditions),
        **_layers(network.layers),
        **_totals(network.totals),
        "weights": {"summary": plain([Word(weight_sentence(network.weights))]), **_weights(network.weights)},
        "variants": {
            name: {"inputs": _details(variant.inputs), "conditions": _details(variant.conditions), **_layers(variant.layers)}
            for name, variant in network.variants.items()
        },
    }


def _layers(layers: Layers) -> dict[str, Any]:
    return {
        "layers": [entry for group in layers.groups for entry in _group(group)],
        "renamed_layers": [{"before": each.before, "after": each.after, "layers": each.count} for each in layers.renamings],
        "rewired_outputs": _details(layers.outputs),
        "reordered": layers.reordered,
    }


def _group(group: Group) -> Iterable[dict[str, Any]]:
    if group.units:
        yield {
            "kind": group.kind,
            "block": group.units[0].block,
            "count": group.count,
            "parameters": _plain(group.parameters),
            "details": [],
            "places": [place for unit in group.units for place in _unit(unit)],
        }
        return
    yield {
        "kind": group.kind,
        "block": None,
        "count": group.count,
        "parameters": _plain(group.parameters) if group.kind in ("added", "removed") else 0,
        "details": _details(group.details),
        "places": [_place(change) for change in group.changes],
    }


def _unit(unit: Unit) -> Iterable[dict[str, Any]]:
    for layer in unit.layers:
        yield {"before": _layer(layer), "after": None} if unit.kind == "removed" else {"before": None, "after": _layer(layer)}


def _place(change: Change) -> dict[str, Any]:
    return {
        "before": _layer(change.before) if change.before is not None else None,
        "after": _layer(change.after) if change.after is not None else None,
    }


def _layer(layer: Layer) -> dict[str, Any]:
    return {
        "path": layer.path,
        "operator": layer.operator,
        "call": layer.call,
        "within": layer.within,
        "file": layer.place.source.path,
        "line": layer.place.line,
    }


def _totals(totals: Totals) -> dict[str, Any]:
    return {
        "totals": {
            name: {
                "before": _plain(total.before),
                "after": _plain(total.after),
                "before_number": total.old_number,
                "after_number": total.new_number,
            }
            for name, total in totals.all.items()
        },
        "sizes": totals.sizes,
    }


def _plain(value: Dim) -> int | str:
    return value if isinstance(value, int) else format_dim(value)


def _weights(weights: Weights) -> dict[str, Any]:
    return {
        "mapping": weights.mapping,
        "renamed": {weight.before: weight.after for weight in weights.of("renamed")},
        "resized": [
            {"before": each.before, "after": each.after, "before_shape": each.old_shape, "after_shape": each.new_shape}
            for each in weights.of("resized")
        ],
        "removed": [weight.before for weight in weights.of("removed")],
        "added": [weight.after for weight in weights.of("added")],
        "traps": [weight.before for weight in weights.traps],
    }


def _recipe(recipe: RecipeDifference) -> dict[str, Any]:
    return {
        "name": recipe.name,
        "different": recipe.differs,
        "statements": [
            {"what": each.what, "before": each.before, "after": each.after, "details": _details(each.details)}
            for each in recipe.statements
        ],
        **_layers(recipe.layers),
        "evaluation": _layers(recipe.evaluation.layers),
    }


def _checkpoint(report: CheckpointReport) -> dict[str, Any]:
    return {
        "path": report.path,
        "network": report.network,
        "prefix": report.prefix,
        "summary": plain(checkpoint_sentence(report)),
        "missing": list(report.missing),
        **_weights(Weights(report.weights)),
        "mapping": report.mapping,
    }
