"""Growing sequences token by token from a network that says what comes next: greedily, by drawing, or by beam search.

M sequences, T tokens of each, V kinds of tokens. `step` takes tokens (M, T) and gives the logits (M, V) of what follows the last.
Sources: Graves 2012, arXiv:1211.3711 (beam search); Wu et al. 2016, arXiv:1609.08144, section 7 (length penalty); Fan et al. 2018,
arXiv:1805.04833 (top k); Holtzman et al. 2020, arXiv:1904.09751 (top p).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

Step = Callable[[Tensor], Tensor]
#: How far the logits of a place may move when tokens are added after it, as a share of the largest.
_CAUSAL = 1e-3


class Generation(NamedTuple):
    """How sequences are grown: by so many tokens, up to a token that stops them, after which `pad` follows.

    With `temperature` 0 the likeliest token is taken, else one is drawn from the logits divided by it, of the `top_k` likeliest, of
    those that together have the probability `top_p`. `beam` sequences are kept side by side. `early` is whether the network is asked no more
    once all sequences have stopped; the result is the same.
    """

    length: int
    stop: int | None = None
    pad: int = 0
    temperature: float = 0.0
    top_k: int | None = None
    top_p: float | None = None
    beam: int = 1
    length_penalty: float = 0.0
    early: bool = True


def grow(step: Step, start: Tensor, how: Generation) -> Tensor:
    """Sequences (M, T + length) from their beginnings (M, T)."""
    return _beams(step, start, how) if how.beam > 1 else _single(step, start, how)


def check_causal(before: Tensor, after: Tensor) -> None:
    """Raise ValueError where the logits (M, V) of a place changed when a token was added after it."""
    scale = float(before.abs().max()) + 1e-6
    if float((before - after).abs().max()) > _CAUSAL * scale:
        raise ValueError("what the network says of a place changes with the tokens after it, so nothing can be generated from it")


def _single(step: Step, start: Tensor, how: Generation) -> Tensor:
    tokens, finished = start, torch.zeros(len(start), dtype=torch.bool, device=start.device)
    for grown in range(how.length):
        chosen = _chosen(step(tokens), how)
        if how.stop is not None:
            chosen = torch.where(finished, how.pad, chosen)
            finished = finished | (chosen == how.stop)
        tokens = torch.cat([tokens, chosen.unsqueeze(1)], dim=1)
        if how.early and how.stop is not None and bool(finished.all()):
            return torch.nn.functional.pad(tokens, (0, how.length - grown - 1), value=how.pad)
    return tokens


def _chosen(logits: Tensor, how: Generation) -> Tensor:
    """A token for each sequence (M)."""
    if not how.temperature:
        return logits.argmax(dim=1)
    logits = logits / how.temperature
    if how.top_k is not None and how.top_k < logits.shape[1]:
        least = logits.topk(how.top_k, dim=1).values[:, -1:]
        logits = logits.masked_fill(logits < least, -torch.inf)
    if how.top_p is not None:
        ordered, places = logits.softmax(dim=1).sort(dim=1, descending=True)
        beyond = ordered.cumsum(dim=1) - ordered >= how.top_p  # the likeliest stays always
        logits = logits.masked_fill(torch.zeros_like(beyond).scatter(1, places, beyond), -torch.inf)
    return torch.multinomial(logits.softmax(dim=1), 1).squeeze(1)


def _beams(step: Step, start: Tensor, how: Generation) -> Tensor:
    """The best sequence of each beginning, of `beam` that are kept: by log-probability over ((5 + tokens) / 6) ** length_penalty."""
    count, beam, device = len(start), how.beam, start.device
    tokens = start.repeat_interleave(beam, dim=0)
    # At first all beams of a sequence are the same, so only the first counts.
    score = torch.full((count, beam), -torch.inf, device=device)
    score[:, 0] = 0.0
    finished = torch.zeros(count, beam, dtype=torch.bool, device=device)
    grown = torch.zeros(count, beam, device=device)
    for _ in range(how.length):
        log = step(tokens).float().log_softmax(dim=1).reshape(count, beam, -1)
        kinds = log.shape[2]
        standing = torch.full_like(log, -torch.inf)
        standing[:, :, how.pad] = 0.0
        log = torch.where(finished.unsqueeze(2), standing, log)
        total = score.unsqueeze(2) + log
        longer = (grown + (~finished).float()).unsqueeze(2).expand_as(total)
        ranked = (total / ((5 + longer) / 6) ** how.length_penalty).reshape(count, -1)
        best = ranked.topk(beam, dim=1).indices
        origin, token = best // kinds, best % kinds
        score, grown = total.reshape(count, -1).gather(1, best), longer.reshape(count, -1).gather(1, best)
        finished = finished.gather(1, origin)
        rows = (origin + torch.arange(count, device=device).unsqueeze(1) * beam).flatten()
        tokens = torch.cat([tokens[rows], token.reshape(-1, 1)], dim=1)
        if how.stop is not None:
            finished = finished | (token == how.stop)
    best = (score / ((5 + grown) / 6) ** how.length_penalty).argmax(dim=1)
    return tokens.reshape(count, beam, -1)[torch.arange(count, device=device), best]
