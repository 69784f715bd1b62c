"""Seeded damage to the bytes of a whole file: what a bad disk, a bad line or an attacker leaves."""

from __future__ import annotations

import random

_TELLING = (0x00, 0x01, 0x7F, 0x80, 0xFE, 0xFF)  # where lengths and signs turn over


def mutant(data: bytes, rng: random.Random) -> bytes:
    """``data`` with a few bytes changed, a piece moved, or its end missing."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 32))):
        at, kind = rng.randrange(len(changed)), rng.random()
        if kind < 0.4:
            changed[at] = rng.randrange(256)
        elif kind < 0.6:
            changed[at] = rng.choice(_TELLING)
        elif kind < 0.75:  # a number that a field of four bytes can hold
            changed[at : at + 4] = rng.choice((2**32 - 1, 2**31, 2**16, 0)).to_bytes(4, "little")
        elif kind < 0.9:  # a piece of it somewhere else
            start, length = rng.randrange(len(changed)), rng.randint(1, 16)
            changed[at : at + length] = changed[start : start + length]
        else:  # moved by a few bytes
            changed[at:at] = changed[at : at + rng.randint(1, 4)]
    if rng.random() < 0.15:
        del changed[rng.randrange(len(changed)) :]
    return bytes(changed) or b"\0"
