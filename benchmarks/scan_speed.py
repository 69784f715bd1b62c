"""Masks and image headers of 3,000 pairs against the floor, the usual loop, and CleanVision.

The floor is what no reader of PNG masks that uses zlib can avoid: reading the files and inflating
them, in the same process with the same threads.

    python -m benchmarks.scan_speed FOLDER [pairs] [repetitions]
"""

from __future__ import annotations

import contextlib
import io
import os
import struct
import sys
import tempfile
import time
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.linked import linked_folder
from segdoctor.sources.voc import scan_folder
from segdoctor.sources.voc.image_file import LIMIT_PIXELS
from segdoctor.sources.voc.layout import find_layout
from segdoctor.sources.voc.look import Job
from segdoctor.sources.voc.pairs import collect_pairs
from segdoctor.sources.voc.schedule import look_at_all

WORKERS = min(8, (os.cpu_count() or 1) + 1)


def inflate(path: str) -> int:
    data = Path(path).read_bytes()
    position, parts = 8, []
    while position < len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        if kind == b"IDAT":
            parts.append(data[position + 8 : position + 8 + length])
        position += 12 + length
    return len(zlib.decompress(b"".join(parts)))


def floor(masks: list[str]) -> None:
    with ThreadPoolExecutor(WORKERS) as pool:
        assert all(pool.map(inflate, masks, chunksize=16))


def usual_loop(masks: list[str], images: list[str]) -> None:
    for mask, image in zip(masks, images, strict=True):
        np.unique(np.array(Image.open(mask)), return_counts=True)
        assert Image.open(image).size


def clean_vision(folder: Path) -> None:
    from cleanvision import Imagelab

    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        Imagelab(data_path=str(folder / "JPEGImages")).find_issues(n_jobs=os.cpu_count())


def seconds(function: Callable[[], object], repetitions: int) -> float:
    best = float("inf")
    for _ in range(repetitions):
        start = time.perf_counter()
        function()
        best = min(best, time.perf_counter() - start)
    return best


def main() -> None:
    source = Path(sys.argv[1])
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 3000
    repetitions = int(sys.argv[3]) if len(sys.argv) > 3 else 3
    with tempfile.TemporaryDirectory() as room:
        folder = linked_folder(source, Path(room) / "voc", count)
        pairs = collect_pairs(find_layout(folder)).pairs
        masks, images = [str(p.mask) for p in pairs], [str(p.image) for p in pairs]
        jobs = [Job(i, pair, False) for i, pair in enumerate(pairs)]
        base = seconds(lambda: floor(masks), repetitions)
        ours = seconds(lambda: look_at_all(jobs, LIMIT_PIXELS, None), repetitions)
        loop = seconds(lambda: usual_loop(masks, images), 1)
        whole = seconds(lambda: scan_folder(folder), 1)
        rows = [
            ("floor: read and inflate the masks", base, ""),
            ("segdoctor: masks and image headers", ours, "limit 1.6 × the floor"),
            ("Pillow + np.unique, one after the other", loop, ""),
            ("segdoctor scan, with 300 decoded and aligned", whole, ""),
        ]
        try:
            rows.append(("CleanVision, images alone", seconds(lambda: clean_vision(folder), 1), ""))
        except ImportError:
            print("CleanVision is not installed (pip install cleanvision)")
    print(f"{count:,} pairs, {WORKERS} threads, {os.cpu_count()} cores, best of {repetitions}")
    for name, took, limit in rows:
        print(
            f"{name:46s} {took:7.2f} s {took / base:7.2f} × floor {count / took:9,.0f}/s  {limit}"
        )
    print(f"the usual loop takes {loop / ours:.1f} × as long as segdoctor (at least 2.5 ×)")


if __name__ == "__main__":
    main()
