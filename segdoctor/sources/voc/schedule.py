"""Runs the look over all pairs: in a few threads, or over a Dask cluster. The sum is the same."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice
from typing import Any

from segdoctor.core.clean import clean
from segdoctor.core.errors import UserError
from segdoctor.sources.voc.look import Job, look_at
from segdoctor.sources.voc.summary import Summary, joined

Progress = Callable[[int, int, str], object]

_CHUNK = 16
_CHUNK_AWAY = 64  # a task on a cluster costs more than a call
_WHAT = "images and masks"


def look_at_all(
    jobs: Sequence[Job], limit: int, progress: Progress | None, scheduler: str | None = None
) -> tuple[Summary, bool]:
    """``(what was seen, whether Ctrl-C ended it)``.

    Parameters
    ----------
    scheduler : str, optional
        None: threads of this process. ``"dask"``: the client that is set up, else a cluster on
        this machine; ``"tcp://…"``: the address of a Dask scheduler, whose workers must see the
        same paths.

    Raises
    ------
    UserError
        Dask is not installed, or the scheduler does not answer.
    """
    if scheduler is not None:
        seen, interrupted = _on_cluster(jobs, limit, progress, scheduler)
    else:
        seen, interrupted = _in_threads(jobs, limit, progress)
    return seen.ordered(), interrupted


def _in_threads(jobs: Sequence[Job], limit: int, progress: Progress | None) -> tuple[Summary, bool]:
    stop = threading.Event()
    total = len(jobs)
    parts: list[Summary] = []
    workers = min(8, (os.cpu_count() or 1) + 1)
    chunks = _chunks(jobs, _CHUNK)
    interrupted = False
    pool = ThreadPoolExecutor(workers, thread_name_prefix="segdoctor-scan")
    with warnings.catch_warnings():
        # Pillow's warnings about odd files; what is broken is reported as a finding.
        warnings.filterwarnings("ignore", module=r"PIL\.")
        try:
            waiting: set[Future[Summary]] = set()
            for chunk in islice(chunks, 2 * workers):
                waiting.add(pool.submit(look_at, chunk, limit, stop.is_set))
            done_pairs = 0
            while waiting:
                done, waiting = wait(waiting, timeout=0.2, return_when=FIRST_COMPLETED)
                for future in done:
                    seen = future.result()
                    parts.append(seen)
                    done_pairs += seen.pairs
                    following = next(chunks, None)
                    if following is not None:
                        waiting.add(pool.submit(look_at, following, limit, stop.is_set))
                if done and progress is not None:
                    progress(done_pairs, total, _WHAT)
        except KeyboardInterrupt:
            interrupted = True
            stop.set()
        finally:
            pool.shutdown(wait=not interrupted, cancel_futures=True)
    return joined(parts), interrupted


def _chunks(jobs: Sequence[Job], size: int) -> Iterator[Sequence[Job]]:
    return (jobs[start : start + size] for start in range(0, len(jobs), size))


def _on_cluster(
    jobs: Sequence[Job], limit: int, progress: Progress | None, scheduler: str
) -> tuple[Summary, bool]:
    client, own = _client(scheduler)
    parts: list[Summary] = []
    done_pairs = 0
    try:
        from distributed import as_completed

        futures = client.map(
            look_at, list(_chunks(jobs, _CHUNK_AWAY)), limit=limit, pure=False, retries=1
        )
        for _, seen in as_completed(futures, with_results=True):  # type: ignore[no-untyped-call]
            parts.append(seen)
            done_pairs += seen.pairs
            if progress is not None:
                progress(done_pairs, len(jobs), _WHAT)
    except KeyboardInterrupt:
        return joined(parts), True
    finally:
        if own:
            client.close()
    return joined(parts), False


def _client(scheduler: str) -> tuple[Any, bool]:
    """``(client, whether it is to be closed)``."""
    try:
        import distributed
    except ImportError as error:
        raise UserError(
            "--scheduler needs Dask, which is an extra: pip install 'segdoctor[dask]'."
        ) from error
    if scheduler == "dask":
        try:
            return distributed.get_client(), False
        except ValueError:  # no client is set up: a cluster on this machine
            return distributed.Client(), True  # type: ignore[no-untyped-call]
    try:
        return distributed.Client(scheduler, timeout="10s"), True  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        raise UserError(
            f"The Dask scheduler {clean(scheduler, 80)!r} does not answer: {clean(error, 120)}."
        ) from error
