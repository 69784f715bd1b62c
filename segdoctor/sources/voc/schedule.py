"""Runs the look over all pairs: in a few threads, or over a Dask cluster. The sum is the same."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from segdoctor.core.clean import clean
from segdoctor.core.data_facts import FileProblem
from segdoctor.core.errors import UserError
from segdoctor.sources.voc.look import Job, look_at
from segdoctor.sources.voc.seen_before import SeenBefore
from segdoctor.sources.voc.summary import Summary, joined

Progress = Callable[[int, int, str], object]

_CHUNK = 16
_CHUNK_AWAY = 64  # a task on a cluster costs more than a call
_WHAT = "images and masks"


def look_at_all(
    jobs: Sequence[Job],
    limit: int,
    progress: Progress | None,
    scheduler: str | None = None,
    *,
    into: Callable[[Summary], Summary] = lambda seen: seen,
    before: SeenBefore | None = None,
) -> tuple[Summary, bool]:
    """``(what was seen, whether Ctrl-C ended it)``.

    Parameters
    ----------
    into : callable
        Takes each part as it comes and gives back what is to be added up: facts that it keeps
        elsewhere need not be held here as well.
    before : SeenBefore, optional
        Pairs that it knows are not looked at, and new ones are noted in it.
    scheduler : str, optional
        None: threads of this process. ``"dask"``: the client that is set up, else a cluster on
        this machine; ``"tcp://…"``: the address of a Dask scheduler, whose workers must see the
        same paths.

    Raises
    ------
    UserError
        Dask is not installed, or the scheduler does not answer.
    """
    desk = _Desk(len(jobs), limit, progress, into, before)
    interrupted = False
    try:
        if scheduler is not None:
            _on_cluster(desk, jobs, scheduler)
        else:
            _in_threads(desk, jobs)
    except KeyboardInterrupt:
        interrupted = True
    finally:
        if before is not None:
            before.close()
    return joined(desk.parts).ordered(), interrupted


@dataclass(slots=True)
class _Desk:
    """Hands out chunks of new pairs and takes in what was seen of them."""

    total: int
    limit: int
    progress: Progress | None
    into: Callable[[Summary], Summary]
    before: SeenBefore | None
    parts: list[Summary] = field(default_factory=list)
    done: int = 0

    def chunks(self, jobs: Sequence[Job], size: int) -> Iterator[Sequence[Job]]:
        """Those that are to be looked at."""
        for start in range(0, len(jobs), size):
            chunk = jobs[start : start + size]
            if self.before is None:
                yield chunk
                continue
            fresh = []
            for job in chunk:
                known = self.before.known(job, self.limit)
                if known is None:
                    fresh.append(job)
                else:
                    self._add(known)
            if fresh:
                yield fresh

    def take(self, chunk: Sequence[Job], seen: Summary) -> None:
        """What was seen of a chunk."""
        if self.before is not None:
            self.before.keep(chunk, self.limit, seen)
        self._add(seen)
        if self.progress is not None:
            self.progress(self.done, self.total, _WHAT)

    def _add(self, seen: Summary) -> None:
        self.done += seen.pairs
        self.parts.append(self.into(seen))


def _in_threads(desk: _Desk, jobs: Sequence[Job]) -> None:
    stop = threading.Event()
    limit = desk.limit
    workers = min(8, (os.cpu_count() or 1) + 1)
    chunks = desk.chunks(jobs, _CHUNK)
    pool = ThreadPoolExecutor(workers, thread_name_prefix="segdoctor-scan")
    with warnings.catch_warnings():
        # Pillow's warnings about odd files; what is broken is reported as a finding.
        warnings.filterwarnings("ignore", module=r"PIL\.")
        try:
            waiting: dict[Future[Summary], Sequence[Job]] = {}
            for chunk in islice(chunks, 2 * workers):
                waiting[pool.submit(look_at, chunk, limit, stop.is_set)] = chunk
            while waiting:
                done, _ = wait(waiting, timeout=0.2, return_when=FIRST_COMPLETED)
                for future in done:
                    desk.take(waiting.pop(future), future.result())
                    following = next(chunks, None)
                    if following is not None:
                        waiting[pool.submit(look_at, following, limit, stop.is_set)] = following
        except KeyboardInterrupt:
            stop.set()
            raise
        finally:
            pool.shutdown(wait=not stop.is_set(), cancel_futures=True)


def _on_cluster(desk: _Desk, jobs: Sequence[Job], scheduler: str) -> None:
    """A worker that is ended is replaced by Dask, and its pairs are looked at again; a pair that
    ends one worker after another is named."""
    client, own = _client(scheduler)
    try:
        from distributed import as_completed

        chunks = list(desk.chunks(jobs, _CHUNK_AWAY))
        futures = client.map(look_at, chunks, limit=desk.limit, pure=False, retries=1)
        asked = {future.key: chunk for future, chunk in zip(futures, chunks, strict=True)}
        completed = as_completed(futures, with_results=True, raise_errors=False)  # type: ignore[no-untyped-call]
        for future, seen in completed:
            chunk = asked.pop(future.key)
            if future.status == "finished":
                desk.take(chunk, seen)
            elif len(chunk) == 1:
                desk.take(chunk, _lost(chunk[0], seen))
            else:  # one of them is to blame
                for job in chunk:
                    alone = client.submit(look_at, [job], limit=desk.limit, pure=False)
                    asked[alone.key] = [job]
                    completed.add(alone)  # type: ignore[no-untyped-call]
    finally:
        if own:
            client.close()


def _lost(job: Job, error: Any) -> Summary:
    """``error``: as :func:`sys.exc_info` has it."""
    path = str(job.pair.image or job.pair.mask)
    kind = error[0] if isinstance(error, tuple) else error
    reason = f"the process that read it was ended ({clean(getattr(kind, '__name__', kind), 60)})"
    return Summary(pairs=1, problems=((job.index, FileProblem("DATA002", path, reason)),))


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
