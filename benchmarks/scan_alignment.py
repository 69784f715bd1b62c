"""How well wrong pairs are found: the figures of DATA004 on the 160 real VOC pairs.

Draws wrong pairings, turns and clean resamples, and counts what the probe names.

    python benchmarks/scan_alignment.py FOLDER [draws] [part …]

The parts, all of them by default: auc, 5%, 15%, single, overwritten, clean, repeats, flips.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from segdoctor.core.data_facts import AlignmentFacts
from segdoctor.measures import shift
from segdoctor.measures.alignment import fits
from segdoctor.measures.edges import Float, image_edges, mask_edges, turned
from segdoctor.measures.pairing import SmallPair, judged
from segdoctor.probes.alignment import PairsMisaligned
from segdoctor.sources.voc.image_file import LIMIT_PIXELS
from segdoctor.sources.voc.layout import find_layout
from segdoctor.sources.voc.look import Job
from segdoctor.sources.voc.pairs import collect_pairs
from segdoctor.sources.voc.schedule import look_at_all

PROBE = PairsMisaligned()
PARTS = ("auc", "5%", "15%", "single", "overwritten", "clean", "repeats", "flips")


def remember_correlations() -> None:
    """The same image beside the same outline need not be transformed anew in each draw."""
    known: dict[tuple[int, int], object] = {}
    compute = shift._around

    def around(edges: Float, outline: Float, reach: int) -> object:
        key = id(edges), id(outline)
        if key not in known:
            if len(known) > 4000:
                known.clear()
            known[key] = edges, outline, compute(edges, outline, reach)  # kept: ids stay theirs
        return known[key][2]  # type: ignore[index]

    shift._around = around  # type: ignore[assignment]


class Pairs:
    """The real pairs with their edges; pairings are drawn of them."""

    def __init__(self, folder: str) -> None:
        found = collect_pairs(find_layout(folder), split="all")
        jobs = [Job(i, pair, True, compared=True) for i, pair in enumerate(found.pairs)]
        seen, _ = look_at_all(jobs, LIMIT_PIXELS, None)
        self.small = [pair for _, pair in seen.small]
        self.images = [image_edges(pair.pixels) for pair in self.small]
        self.outlines: list[Float] = []
        self._turned: dict[tuple[int, str], Float] = {}
        for pair in self.small:
            outline = mask_edges(pair.ids)
            assert outline is not None
            self.outlines.append(outline)

    def __len__(self) -> int:
        return len(self.small)

    def turned(self, place: int, how: str) -> Float:
        """The outline of a mask, turned; each is made once."""
        if (place, how) not in self._turned:
            self._turned[place, how] = turned(self.outlines[place], how)
        return self._turned[place, how]

    def facts(
        self,
        images: Sequence[int],
        masks: Sequence[int],
        outlines: Sequence[Float] | None = None,
    ) -> AlignmentFacts:
        """Image ``images[i]`` beside mask ``masks[i]``; the pair is called by its image."""
        outlines = outlines or [self.outlines[j] for j in masks]
        named: list[SmallPair] = [
            replace(self.small[i], stem=str(i), mask=f"mask of {j}")
            for i, j in zip(images, masks, strict=True)
        ]
        found = judged(named, [self.images[i] for i in images], outlines, len(named))
        assert found is not None
        return found


def named(facts: AlignmentFacts) -> set[int]:
    """The pairs that the probe names, for whatever reason."""
    wrong = PROBE.wrong_pairs(facts)
    both = wrong + PROBE.turned_pairs(facts, {pair.stem for pair in wrong})
    return {int(pair.stem) for pair in both}


def alarmed(facts: AlignmentFacts) -> bool:
    """Whether the set is called misaligned in any way."""
    return bool(PROBE.findings_of(facts))


def separation(pairs: Pairs) -> tuple[float, float, float]:
    """``(AUC own against others, own first in its row, mean fit of the pairs)``."""
    found = fits(pairs.images, pairs.outlines)
    assert found is not None
    others = np.sort(found.z[~np.eye(len(pairs), dtype=bool)])
    auc = float(np.searchsorted(others, found.own).mean() / others.size)
    first = float((found.z.max(axis=1) <= found.own).mean())
    return auc, first, float(found.own.mean())


def shuffled(pairs: Pairs, share: float, draws: int) -> tuple[float, float]:
    """``(draws that are noticed, wrong pairs that are named)`` with a share shuffled."""
    rng = np.random.default_rng(1)
    noticed, hit = 0, []
    everyone = list(range(len(pairs)))
    for _ in range(draws):
        chosen = rng.choice(len(pairs), size=round(share * len(pairs)), replace=False)
        masks = list(everyone)
        for place, taken in zip(chosen, np.roll(chosen, 1), strict=True):
            masks[place] = int(taken)
        facts = pairs.facts(everyone, masks)
        noticed += alarmed(facts)
        hit.append(len(named(facts) & set(chosen.tolist())) / len(chosen))
    return noticed / draws, float(np.mean(hit))


def single(pairs: Pairs, draws: int) -> tuple[float, float, float]:
    """``(wrong pairs named, right pairs named, right partner first)``, two masks exchanged."""
    rng = np.random.default_rng(2)
    hits = false = right = 0
    everyone = list(range(len(pairs)))
    for _ in range(draws):
        a, b = (int(i) for i in rng.choice(len(pairs), size=2, replace=False))
        masks = list(everyone)
        masks[a], masks[b] = b, a
        facts = pairs.facts(everyone, masks)
        found = named(facts)
        hits += len(found & {a, b})
        false += len(found - {a, b})
        # The right mask of image a lies beside image b.
        partner = {pair.stem: pair.partner for pair in facts.pairs}
        right += (partner[str(a)] == str(b)) + (partner[str(b)] == str(a))
    return hits / (2 * draws), false / (draws * (len(pairs) - 2)), right / (2 * draws)


def overwritten(pairs: Pairs, draws: int) -> float:
    """Pairs named whose mask is a copy of another pair's, so that the right one is gone."""
    rng = np.random.default_rng(3)
    hits = 0
    everyone = list(range(len(pairs)))
    for _ in range(draws):
        a, b = (int(i) for i in rng.choice(len(pairs), size=2, replace=False))
        masks = list(everyone)
        masks[a] = b
        hits += a in named(pairs.facts(everyone, masks))
    return hits / draws


def clean(pairs: Pairs, draws: int, size: int = 40, *, repeats: bool = False) -> int:
    """False alarms for the set, among clean resamples (with ``repeats``: the same pair twice)."""
    rng = np.random.default_rng(4)
    alarms = 0
    for _ in range(draws):
        chosen = rng.choice(len(pairs), size=size, replace=repeats).tolist()
        alarms += alarmed(pairs.facts(chosen, chosen))
    return alarms


def flipped(pairs: Pairs, draws: int, size: int, how: str = "mirrored") -> float:
    """Draws that are found with half of the masks turned and not their images."""
    rng = np.random.default_rng(5)
    found = 0
    for _ in range(draws):
        chosen = rng.choice(len(pairs), size=size, replace=False).tolist()
        outlines = [
            pairs.turned(i, how) if place % 2 else pairs.outlines[i]
            for place, i in enumerate(chosen)
        ]
        found += bool(PROBE.turned_pairs(pairs.facts(chosen, chosen, outlines), set()))
    return found / draws


def main() -> None:
    start = time.perf_counter()
    draws = int(sys.argv[2]) if len(sys.argv) > 2 else 200
    wanted = sys.argv[3:] or list(PARTS)
    remember_correlations()
    pairs = Pairs(sys.argv[1])
    print(f"{len(pairs)} pairs, {draws} draws each; limit in brackets", flush=True)
    for part in wanted:
        for line in lines_of(part, pairs, draws):
            print(line, flush=True)
    print(f"{time.perf_counter() - start:.0f} s")


def lines_of(part: str, pairs: Pairs, draws: int) -> Iterator[str]:
    """The lines of one part."""
    if part == "auc":
        auc, first, mean = separation(pairs)
        told = f"AUC {auc:.4f} [.983], own first {first:.1%} [87 %], mean z {mean:.1f}"
        yield f"own against others: {told}"
    elif part in ("5%", "15%"):
        share, limit = (0.05, "90 %") if part == "5%" else (0.15, "100 %")
        seen, hit = shuffled(pairs, share, draws)
        yield f"{share:.0%} shuffled: noticed {seen:.1%} [{limit}], wrong pairs named {hit:.1%}"
    elif part == "single":
        hits, false, right = single(pairs, draws)
        yield (
            f"two exchanged: named {hits:.1%} [80 %], false {false:.3%} [1 %], "
            f"right partner {right:.1%} [70 %]"
        )
    elif part == "overwritten":
        yield f"one overwritten: named {overwritten(pairs, draws):.1%}"
    elif part in ("clean", "repeats"):
        alarms = clean(pairs, draws, repeats=part == "repeats")
        told = "clean resamples of 40" if part == "clean" else "the same with repeats"
        yield f"{told}: false alarms {alarms} of {draws} [0]"
    else:
        for how in ("mirrored", "upside down", "turned by 180°"):
            rates = ", ".join(f"of {n}: {flipped(pairs, draws, n, how):.1%}" for n in (16, 40, 160))
            yield f"half {how}, found {rates} [100 %]"


if __name__ == "__main__":
    main()
