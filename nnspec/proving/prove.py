"""The door to the proof of a report."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch

from nnspec.checker import Report
from nnspec.diagnostics import Diagnostic
from nnspec.graph.ir import Graph
from nnspec.passes.admissible import NoAdmissibleSizes
from nnspec.profiling.brought import numbered
from nnspec.proving.account import Account, NetworkAccount, Proof, RecipeAccount, SampleAccount
from nnspec.proving.claims import broken
from nnspec.proving.findings import Findings
from nnspec.proving.networks import NetworkProver
from nnspec.proving.recipes import RecipeProver
from nnspec.proving.samples import SampleProver
from nnspec.syntax import tree
from nnspec.torch_backend.compile import compile_graph

#: At how many sizes each variant of a network is tried.
TRIALS = 6


def prove(report: Report, *, trials: int = TRIALS, seed: int = 0, told: Callable[[str], None] = lambda text: None) -> Proof:
    """Run what a report holds and compare it with what was inferred. `told` hears what is being done.

    A report with errors is not proved. The random state around is left alone, and the same report gives the same proof.
    """
    if not report.ok:
        return Proof((), ())
    findings = Findings()
    accounts: list[Account] = []
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore")  # torch's advice is for who writes modules, and nobody wrote these
        settled = _networks(report, findings, accounts, trials, seed, told)
        _recipes(report, findings, accounts, seed, told)
    _not_run(report, accounts)
    return Proof(findings.all, tuple(accounts), settled)


def _networks(report: Report, findings: Findings, accounts: list[Account], trials: int, seed: int,
              told: Callable[[str], None]) -> frozenset[Diagnostic]:  # fmt: skip
    settled: set[Diagnostic] = set()
    for name in report.networks:
        torch.manual_seed(seed)
        prover = NetworkProver(report, name, findings, trials, seed, told)
        accounts.append(prover.prove())
        if prover.inference is not None and prover.account.ran:
            settled |= _claims(prover, prover.inference, findings, seed, told)
    return frozenset(settled)


def _claims(prover: NetworkProver, graph: Graph, findings: Findings, seed: int, told: Callable[[str], None]) -> set[Diagnostic]:
    """Test the claims on a network's behaviour; the findings that said they would be tested later."""
    report, name, account = prover.report, prover.name, prover.account
    claims = [claim for claim in report.behaviours if claim.network == name]
    if not claims:
        return set()
    if account.errors or (account.sizes and account.sizes == account.on_meta):
        account.note("its claims were not tested: " + ("it does not run as inferred" if account.errors else "it is too large"))
        return set()
    told(f"testing claims on {name}")
    module = compile_graph(graph, mode="inference", seed=seed)
    tested = set()
    for claim in claims:
        try:
            finding = broken(claim, report, graph, module, seed=seed)
        except NoAdmissibleSizes as error:
            account.note(f"`{claim.span.text}` was not tested: {error}")
            continue
        account.claims.append(claim.span.text)
        tested |= {each for each in report.diagnostics if each.code == "NN502" and each.span == claim.span}
        if finding is not None:
            findings.add(finding)
            account.errors = findings.errors
    return tested


def _recipes(report: Report, findings: Findings, accounts: list[Account], seed: int,
             told: Callable[[str], None]) -> None:  # fmt: skip
    for recipe in report.recipes.values():
        torch.manual_seed(seed)
        small = numbered(report, recipe)
        if small is None:
            accounts.append(RecipeAccount(recipe.name, notes=["it has errors at every small vocabulary that was tried"]))
            continue
        chosen = small.recipes[recipe.name]
        accounts.append(RecipeProver(chosen, findings, seed, told).prove())
        accounts += [
            SampleProver(each, chosen, findings, seed, told).prove() for each in small.samples if each.recipe == recipe.name
        ]


def _not_run(report: Report, accounts: list[Account]) -> None:
    """Name what the report has no graph of."""
    items = [item for item in report.file.items if isinstance(item, tree.Item)] if report.file is not None else []
    for item in items:
        if item.word.id == "network" and item.name.id not in report.networks:
            accounts.append(NetworkAccount(item.name.id, notes=[_why(report, item)]))
        elif item.word.id in ("train", "agent") and item.name.id not in report.recipes:
            accounts.append(RecipeAccount(item.name.id, notes=[_why(report, item)]))
        elif item.word.id == "sample" and item.name.id not in {each.name for each in report.samples}:
            accounts.append(SampleAccount(item.name.id, notes=[_why(report, item)]))


def _why(report: Report, item: tree.Item) -> str:
    """Why there is no graph: what the check says of it."""
    inside = [
        finding
        for finding in report.diagnostics
        if finding.code in ("NN901", "NN309")
        and finding.span.source.path == item.span.source.path
        and item.span.start <= finding.span.start < item.span.end
    ]
    texts = list(dict.fromkeys(finding.message for finding in inside))
    if texts:
        return texts[0] + (f" and {len(texts) - 1} more" if len(texts) > 1 else "")
    if item.word.id == "network":
        return "it can be built only with parameters that others give it"
    elsewhere = next((finding.message for finding in report.diagnostics if finding.code == "NN901"), "parts of it cannot be run")
    return f"what it uses is not run: {elsewhere}"
