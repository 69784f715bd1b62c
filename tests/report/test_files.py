"""Each file is written whole or not at all."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from segdoctor.report import files, html, one_page
from segdoctor.report.files import OutputError, check_writable, save, write_whole
from segdoctor.report.report import Report

Make = Callable[[str], Report]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The files' content is not what is tested here."""
    monkeypatch.setattr(html, "to_html", lambda report: "<!DOCTYPE html>")
    monkeypatch.setattr(one_page, "one_page_png", lambda report: b"\x89PNG")


def test_three_files_are_written(make_report: Make, tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    paths = make_report("refused").save(str(folder))
    assert paths == tuple(str(folder / f"report.{kind}") for kind in ("html", "json", "png"))
    assert sorted(os.listdir(folder)) == ["report.html", "report.json", "report.png"]
    assert json.loads((folder / "report.json").read_text())["exit_code"] == 4
    assert (folder / "report.png").read_bytes().startswith(b"\x89PNG")
    assert (folder / "report.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("broken", ["fsync", "replace", "fdopen"])
def test_a_full_disk_leaves_the_old_report(
    make_report: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    save(make_report("refused"), tmp_path)
    before = {name: (tmp_path / name).read_bytes() for name in os.listdir(tmp_path)}

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, broken, full)
    with pytest.raises(OutputError, match="No space left on device") as caught:
        save(make_report("scan"), tmp_path)
    assert "\n" not in str(caught.value)
    assert {name: (tmp_path / name).read_bytes() for name in os.listdir(tmp_path)} == before


def test_an_interruption_leaves_no_temporary_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "report.json"
    write_whole(target, b"old")

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(files.os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_whole(target, b"new")
    assert os.listdir(tmp_path) == ["report.json"]
    assert target.read_bytes() == b"old"


def test_a_kill_while_writing_leaves_the_old_or_the_new(tmp_path: Path) -> None:
    target = tmp_path / "report.json"
    target.write_bytes(b"old" * 1000)
    script = textwrap.dedent(
        """
        import itertools, sys
        from pathlib import Path
        from segdoctor.report.files import write_whole
        print("go", flush=True)
        for turn in itertools.count():
            write_whole(Path(sys.argv[1]), str(turn % 10).encode() * 3_000_000)
        """
    )
    for turn in range(3):
        with subprocess.Popen(
            [sys.executable, "-c", script, str(target)], stdout=subprocess.PIPE, text=True
        ) as child:
            assert child.stdout is not None
            child.stdout.readline()
            with pytest.raises(subprocess.TimeoutExpired):
                child.wait(timeout=0.11 + 0.037 * turn)
            child.kill()
        content = target.read_bytes()
        assert content == b"old" * 1000 or (len(content) == 3_000_000 and len(set(content)) == 1)


def test_new_files_have_the_permissions_of_the_users_umask(tmp_path: Path) -> None:
    write_whole(tmp_path / "a", b"")
    (tmp_path / "b").write_bytes(b"")
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "b").stat().st_mode


def test_trying_leaves_no_trace(tmp_path: Path) -> None:
    check_writable(tmp_path / "new" / "deeper")
    check_writable(tmp_path)
    assert os.listdir(tmp_path) == []


def test_what_is_in_the_way_is_said_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / "out" / "report.html").mkdir(parents=True)
    for path, why in (
        (file, "a file is in the way"),
        (file / "below", "a file is in the way"),
        (tmp_path / "dangling", "a file is in the way"),
        (tmp_path / "out", "report.html is a folder there"),
        (f"{tmp_path}/nul\x00l", "null"),
    ):
        with pytest.raises(OutputError) as caught:
            check_writable(path)
        assert "cannot write the report to" in str(caught.value)
        assert why in str(caught.value)
        assert "\n" not in str(caught.value)
        assert "\x00" not in str(caught.value)
    assert sorted(os.listdir(tmp_path)) == ["dangling", "file", "out"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="Permission denied"):
        check_writable(tmp_path / "new")
    tmp_path.chmod(0o700)


def test_a_read_only_file_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> int:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(files.os, "open", refuse)
    with pytest.raises(OutputError, match="Read-only file system"):
        check_writable(tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="Matplotlib keeps two folders on Linux alone")
def test_nothing_is_left_in_the_users_home(tmp_path: Path) -> None:
    code = """
        import os
        from segdoctor.report.canvas import drawing
        before = dict(os.environ)
        with drawing():
            from matplotlib.font_manager import fontManager
        assert fontManager.ttflist
        assert dict(os.environ) == before
    """
    home = {name: value for name, value in os.environ.items() if name[:3] not in ("XDG", "MPL")}
    subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**home, "HOME": str(tmp_path)}, check=True,
    )  # fmt: skip
    assert list(tmp_path.iterdir()) == []
