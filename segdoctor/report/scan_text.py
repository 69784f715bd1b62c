"""What a data set folder holds, for a person in the terminal and as plain values."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from segdoctor.core.clean import clean
from segdoctor.core.data_facts import AlignmentFacts, FileProblem, ScanFacts
from segdoctor.core.data_sums import modes, sums_of
from segdoctor.report.wording import counted, share

if TYPE_CHECKING:
    from rich.console import Console

_PROBLEMS = 12
_IDS = 40
_BESIDE = 2  # ids that are named beside each
_LEAST_CHANCE = 0.001  # of 999 permutations


def scan_text(facts: ScanFacts, width: int = 80) -> str:
    """The scan as text of ``width`` columns, without colour."""
    import io

    from rich.console import Console

    sink = io.StringIO()
    print_scan(facts, Console(file=sink, width=width, color_system=None, legacy_windows=False))
    return "\n".join(line.rstrip() for line in sink.getvalue().splitlines()) + "\n"


def print_scan(facts: ScanFacts, console: Console) -> None:
    """Print the scan: what was found, the table of ids, the broken files."""
    from rich.table import Table
    from rich.text import Text

    facts_table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    facts_table.add_column(style="dim")
    facts_table.add_column(overflow="fold")
    for name, value in _rows(facts):
        facts_table.add_row(name, Text(value))
    console.print(facts_table)
    if facts.histogram:
        console.print()
        console.print(_id_table(facts))
    if facts.problems:
        console.print()
        words = counted(len(facts.problems), "broken file or pair", "broken files or pairs")
        console.print(Text(words, style="bold red"))
        for problem in facts.problems[:_PROBLEMS]:
            path, reason = _relative(facts, problem), clean(problem.reason, 200)
            console.print(Text(f"  {problem.code}  {path}: {reason}"))
        left = len(facts.problems) - _PROBLEMS
        if left > 0:
            console.print(Text(f"  … and {left:,} more; --format json lists every file"))
    for note in facts.notes:
        console.print(Text(f"note: {clean(note)}", style="dim"))


def _rows(facts: ScanFacts) -> list[tuple[str, str]]:
    sums = sums_of(facts)
    rows = [
        ("folder", clean(facts.folder)),
        ("layout", clean(facts.layout)),
        ("pairs", f"{sums.complete:,} of {counted(len(facts.pairs), 'example')}"),
        ("files", f"{counted(facts.images_total, 'image')}, {counted(facts.masks_total, 'mask')}"),
    ]
    if facts.images_unlisted:
        rows.append(("", f"{counted(facts.images_unlisted, 'image')} without a mask in the lists"))
    if facts.splits:
        splits = ", ".join(f"{clean(name, 40)} {len(ids):,}" for name, ids in facts.splits.items())
        rows.append(("splits", f"{splits}; trained on: {clean(facts.split, 40)}"))
    stored = ", ".join(f"{clean(mode)} × {count:,}" for mode, count in facts.modes.items())
    with_palette = f" ({sums.palettes:,} with Pascal VOC's palette)" if sums.palettes else ""
    rows.append(("masks", (stored or "none could be read") + with_palette))
    rows.append(("void", _void_words(facts)))
    if facts.label_map:
        pairs = ", ".join(f"{clean(old)}={new}" for old, new in facts.label_map.items())
        rows.append(("label map", pairs))
    decoded = f"{facts.decoded:,} decoded wholly"
    if facts.not_decoded:
        decoded += f", {facts.not_decoded:,} by header and end marker only (--deep decodes all)"
    rows.append(("images", decoded))
    kinds = [f"{clean(mode)} × {count:,}" for mode, count in modes(sums.images).items()]
    if kinds:
        rows.append(("", ", ".join(kinds)))
    rows += [("", f"{clean(split, 40)} is {known}") for split, known in facts.published.items()]
    rows.append(("outlines", _alignment_words(facts.alignment)))
    return rows


def _alignment_words(alignment: AlignmentFacts | None) -> str:
    if alignment is None:
        return "not compared with the images' edges: fewer than 8 masks have an outline"
    first = sum(pair.gap < 0 for pair in alignment.pairs)
    none = f"; {alignment.no_outline:,} masks have none" if alignment.no_outline else ""
    return (
        f"{first:,} of {counted(len(alignment.pairs), 'pair')} fit each other best; a shuffled set "
        f"fits as well with p {'≤' if alignment.chance <= _LEAST_CHANCE else '='} "
        f"{alignment.chance:.3f}{none}"
    )


def _alignment_plain(alignment: AlignmentFacts | None) -> dict[str, Any] | None:
    """Every pair with its fit and what fits better."""
    if alignment is None:
        return None
    return {
        "pairs_compared": len(alignment.pairs),
        "pairs_total": alignment.total,
        "masks_without_outline": alignment.no_outline,
        "mean_fit": round(alignment.mean, 3),
        "chance": alignment.chance,
        "displaced": [clean(stem) for stem in alignment.displaced],
        "down": round(alignment.down, 4),
        "right": round(alignment.right, 4),
        "pairs": [
            {
                "stem": clean(pair.stem),
                "own": round(pair.own, 2),
                "best_mask": clean(pair.partner),
                "best_mask_fit": round(pair.partner_z, 2),
                "best_image": clean(pair.claimed_by),
                "best_image_fit": round(pair.claimed_z, 2),
                "turn": pair.turn,
                "turn_fit": round(pair.turn_z, 2),
            }
            for pair in sorted(alignment.pairs, key=lambda pair: -pair.gap)
        ],
    }


def _void_words(facts: ScanFacts) -> str:
    if facts.void is False:
        return "none, as declared"
    if facts.void is None:
        return "no ignore label declared"
    pixels = sum(facts.histogram.values())
    held = facts.histogram.get(int(facts.void), 0)
    amount = share(held / pixels) if pixels else "0 %"
    return f"{facts.void} ({amount} of the pixels; declared by the {clean(facts.void_declared_by)})"


def _id_table(facts: ScanFacts) -> Any:
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for name in ("id", "pixels", "share", "masks", "most often with"):
        table.add_column(name, justify="right")
    total = sum(facts.histogram.values())
    rows = list(facts.histogram.items())
    for label, count in rows[:_IDS]:
        shown = f"{label} void" if facts.void is not False and label == facts.void else str(label)
        masks = facts.presence.get(label, 0)
        beside = _most_often_with(facts, label)
        table.add_row(shown, f"{count:,}", share(count / total), f"{masks:,}", beside)
    if len(rows) > _IDS:
        table.add_row(f"… {len(rows) - _IDS} more", "", "", "", "")
    return table


def _most_often_with(facts: ScanFacts, label: int) -> str:
    """The ids that stand beside this one in most of its masks: ``15 (80 %), 9 (12 %)``."""
    others = [
        (count, b if a == label else a)
        for (a, b), count in facts.together.items()
        if label in (a, b)
    ]
    held = facts.presence.get(label, 0) or 1
    best = sorted(others, key=lambda item: (-item[0], item[1]))[:_BESIDE]
    return ", ".join(f"{other} ({share(count / held)})" for count, other in best)


def _relative(facts: ScanFacts, problem: FileProblem) -> str:
    start = facts.folder.rstrip("/\\")
    path = problem.path
    return clean(path[len(start) + 1 :] if path.startswith(start) else path, 160)


def scan_to_plain(facts: ScanFacts) -> dict[str, Any]:
    """The scan as plain values for JSON, every broken file named; strings are cleaned."""
    sums = sums_of(facts)
    return {
        "folder": clean(facts.folder, 4096),
        "layout": clean(facts.layout),
        "pairs": len(facts.pairs),
        "pairs_complete": sums.complete,
        "images_total": facts.images_total,
        "masks_total": facts.masks_total,
        "images_unlisted": facts.images_unlisted,
        "splits": {clean(name): len(ids) for name, ids in facts.splits.items()},
        "split": clean(facts.split),
        "trained_on": sums.trained,
        "modes": {clean(mode): count for mode, count in facts.modes.items()},
        "voc_palette": sums.palettes,
        "void": facts.void,
        "void_declared_by": clean(facts.void_declared_by),
        "label_map": {clean(old): new for old, new in facts.label_map.items()},
        "histogram": {str(label): count for label, count in facts.histogram.items()},
        "together": {f"{a},{b}": count for (a, b), count in facts.together.items()},
        "presence": {str(label): count for label, count in facts.presence.items()},
        "decoded": facts.decoded,
        "not_decoded": facts.not_decoded,
        "interrupted": facts.interrupted,
        "image_modes": {clean(mode): count for mode, count in modes(sums.images).items()},
        "published": {clean(name): known for name, known in facts.published.items()},
        "alignment": _alignment_plain(facts.alignment),
        "overlaps": [
            {name: clean(value, 4096) for name, value in asdict(item).items()}
            for item in facts.overlaps
        ],
        "repeated": [[clean(path, 4096) for path in group] for group in facts.repeated],
        "problems": [
            {
                "code": problem.code,
                "path": clean(problem.path, 4096),
                "reason": clean(problem.reason),
            }
            for problem in facts.problems
        ],
        "notes": [clean(note) for note in facts.notes],
    }
