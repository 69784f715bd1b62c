"""Reading a data set folder: pairs, lists, ids, broken files, and what is no fault."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import tempfile
import threading
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segdoctor.core.data_facts import ScanFacts
from segdoctor.sources.voc import DataFolderError, scan_folder

from .folders import image, mask, plain, plain_mask, voc

SHARED = Path(__file__).parents[2] / ".." / "shared" / "data"


def problems(facts: ScanFacts) -> dict[str, str]:
    """Name of the file → code; each file once."""
    named = {os.path.basename(problem.path): problem.code for problem in facts.problems}
    assert len(named) == len(facts.problems)
    return named


def write_list(root: Path, text: bytes, name: str = "train") -> None:
    (root / "ImageSets" / "Segmentation" / f"{name}.txt").write_bytes(text)


def png_of_size(width: int, height: int) -> bytes:
    """A PNG whose header says so, and nothing more."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checked = kind + data
        return struct.pack(">I", len(data)) + checked + struct.pack(">I", zlib.crc32(checked))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(b"0"))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b"")


class TestPairs:
    def test_lists_define_the_pairs(self, tmp_path: Path) -> None:
        facts = scan_folder(voc(tmp_path, 20, listed=6))
        assert facts.problems == ()
        assert len(facts.pairs) == 6
        assert facts.images_total == 20
        assert facts.images_unlisted == 14
        assert facts.split == "train"
        assert [pair.stem for pair in facts.trained_on] == ["0000", "0001", "0002"]
        assert {name: len(stems) for name, stems in facts.splits.items()} == {
            "train": 3,
            "val": 3,
            "trainval": 6,
        }

    @pytest.mark.parametrize(
        ("split", "stems"),
        [
            ("val", ["0002", "0003"]),
            ("trainval", ["0000", "0001", "0002", "0003"]),
            ("all", ["0000", "0001", "0002", "0003"]),
        ],
    )
    def test_a_split_is_chosen(self, tmp_path: Path, split: str, stems: list[str]) -> None:
        facts = scan_folder(voc(tmp_path), split=split)
        assert [pair.stem for pair in facts.trained_on] == stems
        assert facts.split == split

    def test_trainval_is_a_union_where_no_list_says_it(self, tmp_path: Path) -> None:
        root = voc(tmp_path)
        (root / "ImageSets/Segmentation/trainval.txt").unlink()
        facts = scan_folder(root, split="trainval")
        assert len(facts.trained_on) == 4
        assert facts.problems == ()

    def test_a_file_is_a_split(self, tmp_path: Path) -> None:
        root = voc(tmp_path / "data")
        (tmp_path / "mine.txt").write_text("0003\n0001\n")
        facts = scan_folder(root, split=str(tmp_path / "mine.txt"))
        assert [pair.stem for pair in facts.trained_on] == ["0003", "0001"]
        both = scan_folder(root, split=str(tmp_path / "mine.txt"), val_split="val")
        assert len(both.pairs) == 3
        assert [pair.stem for pair in both.trained_on] == ["0003", "0001"]

    def test_an_unknown_split_names_those_there_are(self, tmp_path: Path) -> None:
        with pytest.raises(DataFolderError, match="train, trainval, val"):
            scan_folder(voc(tmp_path), split="training")

    def test_voc_without_lists_counts_images_without_masks(self, tmp_path: Path) -> None:
        facts = scan_folder(voc(tmp_path, 12, lists=False, listed=3))
        assert facts.problems == ()
        assert (len(facts.pairs), facts.images_unlisted) == (3, 9)

    def test_another_list_with_masks_elsewhere_is_no_finding(self, tmp_path: Path) -> None:
        root = voc(tmp_path)
        write_list(root, b"2008_1\n2008_2\n", "train_aug")
        write_list(root, b"2009_1\n", "test")
        assert scan_folder(root).problems == ()

    def test_plain_folders_by_name(self, tmp_path: Path) -> None:
        root = plain(tmp_path)
        image(root / "images" / "alone.jpg")
        mask(root / "masks" / "widow.png")
        facts = scan_folder(root)
        assert problems(facts) == {"alone.jpg": "DATA001", "widow.png": "DATA001"}
        assert facts.split == "all"
        assert facts.void is None

    @pytest.mark.parametrize(
        ("of_image", "of_mask"),
        [("cat", "cat_mask"), ("cat", "cat-label"), ("img_7", "mask_7"), ("cat_image", "cat_seg")],
    )
    def test_names_with_affixes(self, tmp_path: Path, of_image: str, of_mask: str) -> None:
        image(tmp_path / "images" / f"{of_image}.jpg")
        mask(tmp_path / "masks" / f"{of_mask}.png")
        facts = scan_folder(tmp_path)
        assert facts.problems == ()
        assert facts.pairs[0].image
        assert facts.pairs[0].mask

    def test_splits_of_folders(self, tmp_path: Path) -> None:
        for split in ("train", "val"):
            image(tmp_path / split / "images" / "0.png")
            mask(tmp_path / split / "masks" / "0.png")
        facts = scan_folder(tmp_path)
        assert [pair.stem for pair in facts.pairs] == ["train/0", "val/0"]
        assert [pair.stem for pair in facts.trained_on] == ["train/0"]

    def test_files_that_are_no_images_are_passed_over(self, tmp_path: Path) -> None:
        root = plain(tmp_path)
        for name in ("notes.txt", "Thumbs.db", ".DS_Store", "classes.json"):
            (root / "images" / name).write_text("x")
        (root / "images" / "more").mkdir()
        assert scan_folder(root).problems == ()

    def test_not_one_pair(self, tmp_path: Path) -> None:
        image(tmp_path / "images" / "a.jpg")
        mask(tmp_path / "masks" / "b.png")
        with pytest.raises(DataFolderError, match=r"not one pair.*a\.jpg.*b\.png"):
            scan_folder(tmp_path)


class TestLists:
    @pytest.mark.parametrize(
        "text",
        [
            b"0000\r\n0001\r\n",
            b"\xef\xbb\xbf0000\n0001",
            b"\n0000\n\n  0001  \n\n",
            b"0000\n0001\n0000\n",
            "0000\n0001\n".encode("utf-16"),
            b"0000.jpg\n0001.jpg\n",
            b"0000  1\n0001 -1\n",
            b"JPEGImages/0000.jpg SegmentationClass/0000.png\n/JPEGImages/0001.jpg /x/0001.png\n",
        ],
    )
    def test_lists_as_people_write_them(self, tmp_path: Path, text: bytes) -> None:
        root = voc(tmp_path)
        write_list(root, text)
        facts = scan_folder(root)
        assert facts.problems == ()
        assert facts.splits["train"] == ("0000", "0001")

    def test_doubled_names_are_noted(self, tmp_path: Path) -> None:
        root = voc(tmp_path)
        write_list(root, b"0000\n0001\n0000\n")
        assert any("more than once" in note for note in scan_folder(root).notes)

    def test_absent_names_are_found(self, tmp_path: Path) -> None:
        root = voc(tmp_path)
        (root / "JPEGImages/0001.jpg").unlink()
        (root / "SegmentationClass/0002.png").unlink()
        write_list(root, b"0000\n0001\nnowhere\n")
        facts = scan_folder(root)
        assert {(p.code, os.path.basename(p.path)) for p in facts.problems} == {
            ("DATA001", "0001"),
            ("DATA001", "0002"),
            ("DATA001", "nowhere"),
        }
        assert len(facts.masks) == 3

    def test_another_case_is_named(self, tmp_path: Path) -> None:
        root = voc(tmp_path)
        mask(root / "SegmentationClass" / "ABC.png")
        image(root / "JPEGImages" / "abc.jpg")
        write_list(root, b"0000\nabc\n")
        (problem,) = scan_folder(root).problems
        assert "ABC.png differs in upper and lower case" in problem.reason

    def test_names_that_lead_out_are_not_followed(self, tmp_path: Path) -> None:
        root = voc(tmp_path / "data")
        image(tmp_path / "secret.jpg")
        mask(tmp_path / "secret.png")
        write_list(root, b"0000\n../secret\n../../data/JPEGImages/../secret.jpg\n/etc/passwd\n")
        facts = scan_folder(root)
        reasons = [problem.reason for problem in facts.problems]
        assert sum("leads out" in reason for reason in reasons) == 2
        assert all(problem.code == "DATA001" for problem in facts.problems)
        assert not any("secret" in str(pair.image) for pair in facts.pairs)

    def test_a_hostile_list_does_not_raise(self, tmp_path: Path) -> None:
        root = voc(tmp_path)
        write_list(root, b"0000\n" + bytes(range(256)) + b"\n\xff\xfe\n" + b"a" * 5000 + b"\n")
        facts = scan_folder(root)
        assert facts.problems
        assert all(problem.code == "DATA001" for problem in facts.problems)

    def test_a_list_that_is_a_folder(self, tmp_path: Path) -> None:
        root = voc(tmp_path)
        (root / "ImageSets/Segmentation/extra.txt").mkdir()
        assert problems(scan_folder(root)) == {"extra.txt": "DATA002"}


class TestMasks:
    def test_ids_are_those_that_are_stored(self, tmp_path: Path) -> None:
        root = voc(tmp_path, 2)
        mask(root / "SegmentationClass/0000.png", np.full((10, 12), 15, dtype=np.uint8))
        facts = scan_folder(root)
        assert facts.histogram == {0: 60, 1: 50, 15: 120, 255: 10}
        assert facts.presence == {0: 1, 1: 1, 15: 1, 255: 1}
        assert facts.modes == {"P": 2}
        assert all(item.voc_palette for item in facts.masks)
        assert (facts.void, facts.void_declared_by) == (255, "layout")

    def test_another_palette_is_not_vocs(self, tmp_path: Path) -> None:
        root = voc(tmp_path, 1, lists=False)
        picture = Image.fromarray(plain_mask()).convert("P")
        picture.putpalette([i % 256 for i in range(768)])
        picture.save(root / "SegmentationClass/0000.png")
        assert not scan_folder(root).masks[0].voc_palette

    @pytest.mark.parametrize(
        ("name", "mode", "histogram"),
        [
            ("L", "L", {0: 60, 1: 50, 255: 10}),
            ("1", "1", {0: 60, 1: 60}),
            ("I;16", "I;16", {0: 60, 1: 50, 255: 10}),
            ("LA", "LA", {0: 60, 1: 50, 255: 10}),
            ("grey RGB", "RGB", {0: 60, 1: 50, 255: 10}),
        ],
    )
    def test_modes(self, tmp_path: Path, name: str, mode: str, histogram: dict[int, int]) -> None:
        root = plain(tmp_path, 1)
        values = plain_mask()
        path = root / "masks/0.png"
        pictures = {
            "L": Image.fromarray(values),
            "1": Image.fromarray(values > 0),
            "I;16": Image.fromarray(values.astype(np.uint16)),
            "LA": Image.fromarray(values).convert("LA"),
            "grey RGB": Image.fromarray(np.stack([values] * 3, axis=-1)),
        }
        pictures[name].save(path)
        facts = scan_folder(root)
        assert facts.histogram == histogram
        assert facts.modes == {mode: 1}

    def test_colours_are_counted(self, tmp_path: Path) -> None:
        root = plain(tmp_path, 1)
        values = np.zeros((10, 12, 3), dtype=np.uint8)
        values[:4] = (128, 0, 0)
        Image.fromarray(values).save(root / "masks/0.png")
        facts = scan_folder(root)
        assert facts.masks[0].colours == {"0,0,0": 72, "128,0,0": 48}
        assert facts.histogram == {}

    def test_very_many_colours_are_cut(self, tmp_path: Path) -> None:
        root = plain(tmp_path, 1)
        noise = np.random.default_rng(0).integers(0, 255, (100, 100, 3), dtype=np.uint8)
        for part in ("images", "masks"):
            Image.fromarray(noise).save(root / part / "0.png")
        colours = scan_folder(root).masks[0].colours
        assert len(colours) == 257
        assert sum(colours.values()) == 10_000

    @pytest.mark.parametrize(
        ("label_map", "histogram"),
        [
            ("15=1,else=0", {0: 60, 1: 50, 255: 10}),
            ("15=1,*=0", {0: 60, 1: 50, 255: 10}),
            ({15: 1, "*": 0}, {0: 60, 1: 50, 255: 10}),
            ("15=3", {0: 60, 3: 50, 255: 10}),
            ("0=7,255=9", {7: 60, 9: 10, 15: 50}),
            ("else=4", {4: 110, 255: 10}),
            (None, {0: 60, 15: 50, 255: 10}),
        ],
    )
    def test_label_maps(self, tmp_path: Path, label_map: object, histogram: dict[int, int]) -> None:
        root = voc(tmp_path, 1, lists=False)
        values = plain_mask()
        values[values == 1] = 15
        mask(root / "SegmentationClass/0000.png", values)
        facts = scan_folder(root, label_map=label_map)  # type: ignore[arg-type]
        assert facts.histogram == histogram
        assert facts.masks[0].histogram == {0: 60, 15: 50, 255: 10}

    @pytest.mark.parametrize("wrong", ["15", "a=b", "1=2=3", "else", "1.5=2"])
    def test_wrong_label_maps_are_one_line(self, tmp_path: Path, wrong: str) -> None:
        with pytest.raises(ValueError, match="Received") as caught:
            scan_folder(voc(tmp_path), label_map=wrong)
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize(
        ("given", "void", "by"), [(None, 255, "layout"), (False, False, "user"), (0, 0, "user")]
    )
    def test_who_declares_void(
        self, tmp_path: Path, given: int | bool | None, void: int | bool, by: str
    ) -> None:
        facts = scan_folder(voc(tmp_path, 2), ignore_label=given)
        assert facts.void is void or facts.void == void
        assert facts.void_declared_by == by


class TestBrokenFiles:
    def test_each_is_named_once_and_the_rest_is_read(self, tmp_path: Path) -> None:
        root = voc(tmp_path, 16)
        images, masks = root / "JPEGImages", root / "SegmentationClass"
        whole = (images / "0000.jpg").read_bytes()
        (images / "0000.jpg").write_bytes(b"")
        (images / "0001.jpg").write_bytes(whole[: len(whole) // 2])
        (images / "0002.jpg").unlink()
        (images / "0002.jpg").mkdir()
        (images / "0003.jpg").unlink()
        os.mkfifo(images / "0003.jpg")
        (images / "0004.jpg").unlink()
        (images / "0004.jpg").symlink_to("nowhere.jpg")
        (images / "0005.jpg").unlink()
        (images / "0005.jpg").symlink_to("0005.jpg")
        (images / "0006.jpg").write_text("<!DOCTYPE html><html></html>")
        (images / "0007.jpg").write_text("version https://git-lfs.github.com/spec/v1\n")
        (masks / "0008.png").write_bytes((masks / "0008.png").read_bytes()[:-6])
        (masks / "0009.png").write_bytes(png_of_size(30_000, 30_000))
        image(images / "0010.jpg", size=(12, 11))
        facts = scan_folder(root)
        reasons = {os.path.basename(p.path): p.reason for p in facts.problems}
        expected = {
            "0000.jpg": "empty",
            "0001.jpg": "cut off",
            "0002.jpg": "a folder",
            "0003.jpg": "pipe",
            "0004.jpg": "leads nowhere",
            "0005.jpg": "in a circle",
            "0006.jpg": "web page",
            "0007.jpg": "Git LFS",
            "0008.png": "cut off",
            "0009.png": "900 Mpx",
            "0010.png": "image 12 × 11, mask 12 × 10",
        }
        assert set(reasons) == set(expected)
        for name, words in expected.items():
            assert words in reasons[name], name
        assert {p.code for p in facts.problems} == {"DATA002", "DATA003"}
        assert len(facts.masks) == 14
        assert facts.decoded == 8

    @pytest.mark.parametrize("suffix", ["jpg", "png"])
    def test_truncation_at_any_point_is_found(self, tmp_path: Path, suffix: str) -> None:
        root = plain(tmp_path, 1)
        (root / "images/0.png").unlink()
        path = image(root / "images" / f"0.{suffix}", size=(12, 10))
        whole, drawn = path.read_bytes(), (root / "masks/0.png").read_bytes()
        path.write_bytes(whole + b"trailing bytes of a camera")
        assert scan_folder(root).problems == ()
        for end in range(len(whole)):
            (root / f"images/cut{end}.{suffix}").write_bytes(whole[:end])
            (root / f"masks/cut{end}.png").write_bytes(drawn)
        for deep in (False, True):
            found = problems(scan_folder(root, deep=deep))
            assert found == {f"cut{end}.{suffix}": "DATA002" for end in range(len(whole))}

    def test_the_end_marker_of_a_thumbnail_does_not_count(self, tmp_path: Path) -> None:
        root = plain(tmp_path, 301)
        for i in range(301):
            (root / "images" / f"{i}.png").unlink()
            image(root / "images" / f"{i}.jpg", size=(12, 10))
        thumbnail = (root / "images/0.jpg").read_bytes()
        for i in range(301):
            path = root / "images" / f"{i}.jpg"
            Image.open(path).save(path, exif=b"Exif\0\0" + thumbnail)
            path.write_bytes(path.read_bytes()[:-20])
        facts = scan_folder(root)
        assert len(facts.problems) == 301

    @pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="needs another user id")
    def test_no_permission(self) -> None:
        code = (
            "import os, sys\n"
            "from segdoctor.sources.voc import scan_folder\n"
            "os.setresuid(65534, 65534, 65534)\n"
            "facts = scan_folder(sys.argv[1])\n"
            "print(len(facts.masks), [(p.code, p.reason) for p in facts.problems])\n"
        )
        with tempfile.TemporaryDirectory() as folder:  # pytest's own are closed to other users
            root = plain(Path(folder), 2)
            (root / "images/0.png").chmod(0)
            for part in (root, root / "images", root / "masks"):
                part.chmod(0o755)

            def scan() -> subprocess.CompletedProcess[str]:
                command = [sys.executable, "-c", code, str(root)]
                return subprocess.run(command, capture_output=True, text=True, check=False)

            done = scan()
            assert "no permission" in done.stdout, done.stderr
            assert done.stdout.startswith("2 ")
            root.chmod(0)
            assert "DataFolderError" in scan().stderr

    def test_a_broken_orphan_is_named_once(self, tmp_path: Path) -> None:
        root = plain(tmp_path)
        (root / "images/alone.jpg").write_bytes(b"")
        assert problems(scan_folder(root)) == {"alone.jpg": "DATA002"}

    def test_exif_orientation_is_said(self, tmp_path: Path) -> None:
        root = plain(tmp_path, 1)
        (root / "images/0.png").unlink()
        exif = Image.Exif()
        exif[274] = 6
        Image.new("RGB", (10, 12)).save(root / "images/0.jpg", exif=exif)
        (problem,) = scan_folder(root).problems
        assert problem.code == "DATA003"
        assert "EXIF orientation 6" in problem.reason

    def test_names_that_are_not_utf8(self, tmp_path: Path) -> None:
        root = plain(tmp_path, 1)
        for part in ("images", "masks"):
            source = os.fsencode(root / part / "0.png")
            os.rename(source, os.path.join(os.fsencode(root / part), b"caf\xe9\n\x1b.png"))
        facts = scan_folder(root)
        assert facts.problems == ()
        assert len(facts.masks) == 1


class TestWork:
    def test_a_sample_of_the_images_is_decoded(self, tmp_path: Path) -> None:
        root = voc(tmp_path, 1, lists=False)
        for i in range(1, 310):
            for part, end in (("JPEGImages", "jpg"), ("SegmentationClass", "png")):
                os.link(root / part / f"0000.{end}", root / part / f"{i:04d}.{end}")
        facts = scan_folder(root)
        assert (facts.decoded, facts.not_decoded) == (300, 10)
        deep = scan_folder(root, deep=True)
        assert (deep.decoded, deep.not_decoded) == (310, 0)
        assert len(facts.masks) == len(deep.masks) == 310

    def test_the_same_folder_gives_the_same_facts(self, tmp_path: Path) -> None:
        root = voc(tmp_path, 100)
        assert scan_folder(root) == scan_folder(root)

    def test_progress_goes_up_to_the_end(self, tmp_path: Path) -> None:
        seen: list[tuple[int, int, str]] = []
        root = voc(tmp_path, 100)
        scan_folder(root, progress=lambda done, total, what: seen.append((done, total, what)))
        assert [done for done, _, _ in seen] == sorted(done for done, _, _ in seen)
        assert seen[-1][:2] == (100, 100)

    def test_what_was_found_before_ctrl_c_is_kept(self, tmp_path: Path) -> None:
        def interrupt(done: int, total: int, what: str) -> None:
            raise KeyboardInterrupt

        facts = scan_folder(voc(tmp_path, 400), progress=interrupt)
        assert facts.interrupted
        assert 0 < len(facts.masks) < 400
        assert any("incomplete" in note for note in facts.notes)
        for thread in threading.enumerate():
            if thread.name.startswith("segdoctor-scan"):
                thread.join(timeout=2)
                assert not thread.is_alive()

    def test_nothing_is_written(self, tmp_path: Path) -> None:
        root = voc(tmp_path)
        before = sorted(path for path in root.rglob("*"))
        scan_folder(root)
        assert sorted(path for path in root.rglob("*")) == before


@pytest.mark.skipif(not (SHARED / "voc").is_dir(), reason="real VOC pairs are not at hand")
class TestRealData:
    def test_genuine_pairs_have_no_problem(self) -> None:
        facts = scan_folder(SHARED / "voc", deep=True)
        assert facts.problems == ()
        assert (len(facts.pairs), len(facts.trained_on), facts.decoded) == (160, 80, 160)
        assert set(facts.histogram) == {*range(21), 255}
        assert facts.presence[255] == 160
        assert facts.modes == {"P": 160}
        assert all(item.voc_palette for item in facts.masks)

    def test_voc_as_it_comes_has_no_problem(self, tmp_path: Path) -> None:
        """Many more images than masks, and lists: as VOC 2012 is."""
        source = SHARED / "voc"
        images = sorted((source / "JPEGImages").iterdir())
        root = tmp_path / "VOCdevkit" / "VOC2012"
        for part in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation", "Annotations"):
            (root / part).mkdir(parents=True)
        for i in range(300):
            name = images[i].name if i < len(images) else f"2012_{i:06d}.jpg"
            (root / "JPEGImages" / name).write_bytes(images[i % len(images)].read_bytes())
        stems = [path.stem for path in images[:60]]
        for stem in stems:
            target = root / "SegmentationClass" / f"{stem}.png"
            target.write_bytes((source / "SegmentationClass" / f"{stem}.png").read_bytes())
        for name, members in (("train", stems[:30]), ("val", stems[30:]), ("trainval", stems)):
            path = root / "ImageSets" / "Segmentation" / f"{name}.txt"
            path.write_text("\n".join(members) + "\n")
        facts = scan_folder(tmp_path / "VOCdevkit")
        assert facts.problems == ()
        assert (facts.images_total, facts.images_unlisted, len(facts.pairs)) == (300, 240, 60)

    @pytest.mark.skipif(not (SHARED / "bad_images").is_dir(), reason="no broken images at hand")
    @pytest.mark.parametrize("where", ["images", "masks"])
    def test_broken_images_among_good_pairs(self, tmp_path: Path, where: str) -> None:
        root = plain(tmp_path, 50)
        bad = [p for p in (SHARED / "bad_images").iterdir() if p.suffix != ".csv"]
        other = "masks" if where == "images" else "images"
        for path in bad:
            (root / where / path.name).write_bytes(path.read_bytes())
            mask(root / other / f"{path.stem}.png", mode="L")
        facts = scan_folder(root)
        assert sum(len(m.histogram) == 3 and m.size == (12, 10) for m in facts.masks) >= 50
        broken = {os.path.basename(p.path) for p in facts.problems if p.code == "DATA002"}
        assert broken <= {path.name for path in bad}
        for name in ("pillow__broken.png", "imagers_jpeg__empty.jpg", "pillow__truncated_jpeg.jpg"):
            assert name in broken
        assert len(broken) >= 60
        judged = {p.path for p in facts.problems}
        assert len(judged) == len(facts.problems)
