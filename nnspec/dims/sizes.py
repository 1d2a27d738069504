"""Sets of sizes: integers from a least one on, periodic between breakpoints. Exact, with the operations of sets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from math import gcd, lcm

#: Sets whose period would be longer are not formed.
LONGEST_PERIOD = 1 << 16


class TooComplexError(Exception):
    """A question that the prover gives up on, so that it always ends soon. Never leaves `nnspec.dims`."""


def repeated(mask: int, modulus: int, times: int) -> int:
    """The bit pattern `mask` of `modulus` bits, `times` over."""
    return mask * (((1 << (modulus * times)) - 1) // ((1 << modulus) - 1))


def bits(mask: int) -> Iterator[int]:
    """The places of the ones, ascending."""
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


class Segment:
    """From `start` up to the next segment: n belongs to the set if bit `n % modulus` of `mask` is one."""

    __slots__ = ("mask", "modulus", "start")

    def __init__(self, start: int, modulus: int, mask: int) -> None:
        self.start, self.modulus, self.mask = start, modulus, mask

    @property
    def pattern(self) -> tuple[int, int]:
        return self.modulus, self.mask


def _shortest(modulus: int, mask: int) -> tuple[int, int]:
    """The same pattern with the smallest period."""
    left, prime = modulus, 2
    while left > 1:
        if prime * prime > left:
            prime = left
        if left % prime == 0:
            left //= prime
            shorter = modulus // prime
            part = mask & ((1 << shorter) - 1)
            if repeated(part, shorter, prime) == mask:
                modulus, mask = shorter, part
        else:
            prime += 1
    return modulus, mask


class Sizes:
    """A set of integers, none below `segments[0].start`. Immutable; equal sets built from the same start compare equal."""

    __slots__ = ("segments",)

    def __init__(self, segments: Iterable[Segment]) -> None:
        kept: list[Segment] = []
        for segment in segments:
            modulus, mask = _shortest(*segment.pattern)
            if kept and kept[-1].pattern == (modulus, mask):
                continue
            kept.append(Segment(segment.start, modulus, mask))
        self.segments = tuple(kept)

    @classmethod
    def at_least(cls, least: int) -> Sizes:
        return cls([Segment(least, 1, 1)])

    @classmethod
    def of(cls, values: Iterable[int]) -> Sizes:
        """Exactly these values, at least one."""
        segments: list[Segment] = []
        for value in sorted(set(values)):
            if segments and segments[-1].start == value:
                segments.pop()
            segments += [Segment(value, 1, 1), Segment(value + 1, 1, 0)]
        return cls(segments)

    @classmethod
    def residues(cls, modulus: int, residues: Iterable[int], least: int = 1) -> Sizes:
        return cls([Segment(least, modulus, sum(1 << residue for residue in set(residues)))])

    @property
    def least(self) -> int:
        """Where the set was cut off below; not necessarily a member."""
        return self.segments[0].start

    def _key(self) -> tuple[tuple[int, int, int], ...]:
        return tuple((segment.start, *segment.pattern) for segment in self.segments)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sizes) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        return f"Sizes({', '.join(f'{s.start}: {list(bits(s.mask))} mod {s.modulus}' for s in self.segments)})"

    def spans(self) -> Iterator[tuple[int, int | None, int, int]]:
        """Start, end (exclusive, None at the last), modulus and mask of each segment."""
        ends: list[int | None] = [segment.start for segment in self.segments[1:]]
        for segment, end in zip(self.segments, [*ends, None], strict=True):
            yield segment.start, end, segment.modulus, segment.mask

    def __contains__(self, value: int) -> bool:
        for start, end, modulus, mask in self.spans():
            if start <= value and (end is None or value < end):
                return bool(mask >> value % modulus & 1)
        return False

    def _merge(self, other: Sizes, choose: Callable[[int, int], int]) -> Sizes:
        starts = sorted({segment.start for each in (self, other) for segment in each.segments})
        merged = []
        for start in starts:
            (modulus, mask), (other_modulus, other_mask) = self._pattern_at(start), other._pattern_at(start)
            common = lcm(modulus, other_modulus)
            if common > LONGEST_PERIOD:
                raise TooComplexError
            left, right = repeated(mask, modulus, common // modulus), repeated(other_mask, other_modulus, common // other_modulus)
            merged.append(Segment(start, common, choose(left, right)))
        return Sizes(merged)

    def _pattern_at(self, start: int) -> tuple[int, int]:
        pattern = (1, 0)
        for segment in self.segments:
            if segment.start > start:
                break
            pattern = segment.pattern
        return pattern

    def __and__(self, other: Sizes) -> Sizes:
        return self._merge(other, lambda left, right: left & right)

    def __or__(self, other: Sizes) -> Sizes:
        return self._merge(other, lambda left, right: left | right)

    def __sub__(self, other: Sizes) -> Sizes:
        return self._merge(other, lambda left, right: left & ~right)

    def following(self, value: int) -> int | None:
        """The smallest member that is at least `value`."""
        for start, end, modulus, mask in self.spans():
            if not mask or (end is not None and end <= value):
                continue
            begin = max(start, value)
            shift = begin % modulus
            turned = mask >> shift | (mask & ((1 << shift) - 1)) << (modulus - shift)
            found = begin + (turned & -turned).bit_length() - 1
            if end is None or found < end:
                return found
        return None

    def preceding(self, value: int) -> int | None:
        """The largest member that is at most `value`."""
        for start, end, modulus, mask in reversed(list(self.spans())):
            if not mask or start > value:
                continue
            begin = value if end is None else min(value, end - 1)
            for back in range(modulus):
                if begin - back >= start and mask >> (begin - back) % modulus & 1:
                    return begin - back
        return None

    @property
    def first(self) -> int | None:
        """The smallest member; None in the empty set."""
        return self.following(self.least)

    @property
    def last(self) -> int | None:
        """The largest member; None where there is no end, or no member."""
        return None if self.segments[-1].mask else self.preceding(self.segments[-1].start)

    @property
    def is_empty(self) -> bool:
        return self.first is None

    @property
    def is_finite(self) -> bool:
        return not self.segments[-1].mask

    def members(self, limit: int) -> list[int]:
        """The smallest members, up to `limit` of them."""
        found: list[int] = []
        value = self.first
        while value is not None and len(found) < limit:
            found.append(value)
            value = self.following(value + 1)
        return found

    def image(self, scale: int, offset: int) -> Sizes:
        """{scale * n + offset}."""
        if scale == 1:
            return Sizes([Segment(s.start + offset, s.modulus, _turned(s.mask, s.modulus, offset)) for s in self.segments])
        segments = []
        for segment in self.segments:
            modulus = segment.modulus * scale
            if modulus > LONGEST_PERIOD:
                raise TooComplexError
            mask = sum(1 << (scale * place + offset) % modulus for place in bits(segment.mask))
            segments.append(Segment(scale * segment.start + offset, modulus, mask))
        return Sizes(segments)

    def preimage(self, scale: int, offset: int) -> Sizes:
        """{n: scale * n + offset is a member}."""
        segments: list[Segment] = []
        for segment in self.segments:
            modulus = segment.modulus // gcd(segment.modulus, scale)
            mask = sum(1 << n for n in range(modulus) if segment.mask >> (scale * n + offset) % segment.modulus & 1)
            start = -((offset - segment.start) // scale)
            if segments and segments[-1].start == start:
                segments.pop()
            segments.append(Segment(start, modulus, mask))
        return Sizes(segments)

    def common_class(self) -> tuple[int, int]:
        """Modulus and remainder that all members share; modulus 1 where they share none, or are few."""
        base = self.first
        modulus, unbounded = 0, False
        for start, end, period, mask in self.spans():
            if base is None or not mask:
                continue
            if end is None or end - start > 64 * period:
                unbounded = True
                modulus = gcd(modulus, period, *(place - base for place in bits(mask)))
            else:
                modulus = gcd(modulus, *(value - base for value in range(start, end) if mask >> value % period & 1))
        return (modulus, base % modulus) if base is not None and unbounded and modulus > 1 else (1, 0)


def _turned(mask: int, modulus: int, by: int) -> int:
    by %= modulus
    return ((mask << by) | (mask >> (modulus - by))) & ((1 << modulus) - 1)
