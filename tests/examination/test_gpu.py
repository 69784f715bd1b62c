"""A GPU is shared with the training that holds it; without one nothing is asked of TensorFlow."""

from __future__ import annotations

from types import SimpleNamespace

from segdoctor.examination.opening import share_gpus


def fake(gpus: list[str], busy: bool = False):
    grown: list[str] = []

    def grow(gpu: str, on: bool) -> None:
        if busy:
            raise RuntimeError("Physical devices cannot be modified after being initialized")
        grown.append(gpu)

    config = SimpleNamespace(
        list_physical_devices=lambda kind: gpus if kind == "GPU" else ["cpu"],
        experimental=SimpleNamespace(set_memory_growth=grow),
    )
    return SimpleNamespace(config=config), grown


def test_only_the_memory_that_is_needed_is_taken() -> None:
    tf, grown = fake(["gpu:0", "gpu:1"])
    share_gpus(tf)
    assert grown == ["gpu:0", "gpu:1"]


def test_a_gpu_in_use_and_none_at_all_are_left_alone() -> None:
    for gpus in ([], ["gpu:0"]):
        tf, grown = fake(gpus, busy=True)
        share_gpus(tf)
        assert grown == []
