"""Summaries add; one thread, a pool and a cluster give the same sum."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segdoctor.core.data_facts import FileProblem, ImageFacts, MaskFacts
from segdoctor.core.errors import UserError
from segdoctor.sources.voc import scan_folder, schedule
from segdoctor.sources.voc.image_file import LIMIT_PIXELS
from segdoctor.sources.voc.layout import find_layout
from segdoctor.sources.voc.look import Job, look, look_at
from segdoctor.sources.voc.pairs import collect_pairs
from segdoctor.sources.voc.schedule import look_at_all
from segdoctor.sources.voc.summary import Summary, joined

from .folders import voc

places = st.integers(0, 50)
summaries = st.builds(
    Summary,
    pairs=places,
    decoded=places,
    not_decoded=places,
    masks=st.lists(st.tuples(places, st.builds(MaskFacts, st.text(max_size=2), st.just("P"), st.just((1, 1)))), max_size=3).map(tuple),  # noqa: E501
    images=st.lists(st.tuples(places, st.builds(ImageFacts, st.text(max_size=2), st.just("RGB"), st.just((1, 1)), places)), max_size=3).map(tuple),  # noqa: E501
    problems=st.lists(st.tuples(places, st.builds(FileProblem, st.just("DATA002"), st.text(max_size=2), st.text(max_size=2))), max_size=3).map(tuple),  # noqa: E501
)  # fmt: skip


@given(summaries, summaries, summaries)
def test_addition_is_associative_and_has_a_zero(a: Summary, b: Summary, c: Summary) -> None:
    assert (a + b) + c == a + (b + c) == joined([a, b, c])
    assert a + Summary() == a == Summary() + a


@given(st.permutations(range(6)))
def test_the_order_of_the_parts_does_not_matter(order: list[int]) -> None:
    parts = [Summary(pairs=1, masks=((i, MaskFacts(str(i), "P", (1, 1))),)) for i in range(6)]
    assert joined(parts[i] for i in order).ordered() == joined(parts)


@pytest.fixture
def jobs(tmp_path: Path) -> list[Job]:
    root = voc(tmp_path, 50)
    (root / "JPEGImages/0003.jpg").write_bytes(b"")
    pairs = collect_pairs(find_layout(root)).pairs
    return [Job(i, pair, i % 2 == 0) for i, pair in enumerate(pairs)]


def plain(summary: Summary) -> tuple[object, ...]:
    """All but the arrays."""
    return tuple(getattr(summary, name) for name in Summary.__dataclass_fields__ if name != "small")


def test_threads_give_what_one_gives(jobs: list[Job]) -> None:
    one = joined(look(job, LIMIT_PIXELS) for job in jobs)
    pool, interrupted = look_at_all(jobs, LIMIT_PIXELS, None)
    assert not interrupted
    assert plain(pool) == plain(one) == plain(look_at(jobs, LIMIT_PIXELS))
    assert pool.pairs == 50


def test_a_scheduler_that_does_not_answer_is_one_line(jobs: list[Job]) -> None:
    pytest.importorskip("distributed")
    with pytest.raises(UserError, match="does not answer") as caught:
        look_at_all(jobs, LIMIT_PIXELS, None, "nonsense://127.0.0.1:1")
    assert "\n" not in str(caught.value)


def test_a_pair_that_ends_its_workers_is_named(
    jobs: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cluster in this process, where the reader raises in the place of ending it."""
    distributed = pytest.importorskip("distributed")

    def ended(chunk: Any, limit: int) -> Any:
        if any(job.index == 7 for job in chunk):
            raise MemoryError
        return look_at(chunk, limit)

    monkeypatch.setattr(schedule, "look_at", ended)
    options = {"n_workers": 1, "dashboard_address": None, "processes": False}
    with (
        distributed.LocalCluster(**options) as cluster,
        distributed.Client(cluster),
    ):
        seen, _ = look_at_all(jobs, LIMIT_PIXELS, None, "dask")
    others = look_at([job for job in jobs if job.index != 7], LIMIT_PIXELS)
    named = [problem for index, problem in seen.problems if index == 7]
    assert (seen.pairs, len(seen.images)) == (len(jobs), len(others.images))
    assert "was ended (MemoryError)" in named[0].reason


def test_a_cluster_gives_the_identical_answer(tmp_path: Path) -> None:
    """A real local cluster of two worker processes."""
    distributed = pytest.importorskip("distributed")
    root = voc(tmp_path, 150)
    (root / "JPEGImages/0003.jpg").write_bytes(b"")
    here = scan_folder(root)
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with (
        distributed.LocalCluster(processes=True, **options) as cluster,
        distributed.Client(cluster) as client,
    ):
        pids = set(client.run(os.getpid).values())
        assert len(pids - {os.getpid()}) == 2
        done: list[int] = []
        there = scan_folder(
            root,
            scheduler=cluster.scheduler_address,
            progress=lambda count, total, what: done.append(count),
        )
        found = scan_folder(root, scheduler="dask")  # the client that is set up
    assert there == here == found
    assert max(done) == 150
    assert len(here.problems) == 1
