"""A pytest plugin: fixtures, and ``--segdoctor-report=DIR`` for the reports behind the asserts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from segdoctor.report.report import Report

_STORE = pytest.StashKey[list[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("segdoctor")
    group.addoption(
        "--segdoctor-report",
        metavar="DIR",
        default=None,
        help="write the report of each segdoctor assert to DIR/TEST/report.html (and .json, .png)",
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Keep the reports of a test, where they are asked for."""
    folder = item.config.getoption("--segdoctor-report")
    if not folder:
        return (yield)
    from segdoctor import testing

    home = Path(folder) / re.sub(r"[^\w.-]+", "_", item.nodeid).strip("_")
    kept: list[str] = []

    def keep(report: Report) -> None:
        place = home if not kept else home.with_name(f"{home.name}_{len(kept) + 1}")
        kept.append(report.save(str(place))[0])

    testing.LISTENERS.append(keep)
    try:
        return (yield)
    finally:
        testing.LISTENERS.remove(keep)
        item.stash[_STORE] = kept


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """A failed test says where its report lies."""
    report: Any = yield
    kept = item.stash.get(_STORE, [])
    if report.when == "call" and report.failed and kept:
        report.sections.append(("segdoctor", "\n".join(f"report: {path}" for path in kept)))
    return report  # type: ignore[no-any-return]


@pytest.fixture
def segdoctor_check() -> Callable[..., Report]:
    """``segdoctor_check(model, data, …)``: examines without a trial unless asked, and the report is
    kept under ``--segdoctor-report``."""
    from segdoctor.testing import _checked

    return _checked


@pytest.fixture(scope="session")
def segdoctor_voc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small drawn data set in VOC layout: 12 + 4 pairs, 21 classes, void."""
    from segdoctor.measures.drawing import write_voc_folder

    folder = tmp_path_factory.mktemp("segdoctor")
    return write_voc_folder(folder / "voc", 12, 4, size=(96, 96), classes=21, seed=0)
