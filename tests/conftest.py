"""What several test rooms share: the real data where it is at hand, else drawn data."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Seconds say nothing of a test on a machine that does other things beside it.
settings.register_profile("calm", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("calm")

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

SHARED = Path(__file__).parents[1].parent / "shared" / "data"


@pytest.fixture(scope="session")
def real_voc() -> Path:
    """The genuine VOC pairs; the test is skipped, visibly, where they are absent."""
    if not (SHARED / "voc").is_dir():
        pytest.skip("the genuine VOC pairs are not at hand (../shared/data/voc)")
    return SHARED / "voc"


@pytest.fixture(scope="session")
def voc_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real VOC pairs, or drawn ones in the same layout in a fresh clone."""
    if (SHARED / "voc").is_dir():
        return SHARED / "voc"
    from segdoctor.measures.drawing import write_voc_folder

    folder = tmp_path_factory.mktemp("drawn")
    return write_voc_folder(folder / "voc", 24, 8, size=(160, 160), classes=21, seed=0)


@pytest.fixture(scope="session")
def few_pairs(tmp_path_factory: pytest.TempPathFactory, voc_folder: Path) -> Path:
    """Forty pairs of :func:`voc_folder`: what a test of the network reads the data set for."""
    folder = tmp_path_factory.mktemp("few") / "voc"
    lists = Path("ImageSets", "Segmentation")
    (folder / lists).mkdir(parents=True)
    for name, count in (("train", 28), ("val", 12)):
        names = (voc_folder / lists / f"{name}.txt").read_text().split()[:count]
        (folder / lists / f"{name}.txt").write_text("\n".join(names) + "\n")
        for kind, suffix in (("JPEGImages", ".jpg"), ("SegmentationClass", ".png")):
            (folder / kind).mkdir(exist_ok=True)
            for stem in names:
                shutil.copy(voc_folder / kind / f"{stem}{suffix}", folder / kind)
    return folder


@pytest.fixture(scope="session")
def person_model() -> Path:
    """Path stem of the trained person model in its four forms; skipped where absent."""
    stem = SHARED / "models" / "deeplabv3_mnv2_dm05_person_trained"
    if not stem.with_suffix(".k3.keras").is_file():
        pytest.skip("the trained person model is not at hand (../shared/data/models)")
    return stem
