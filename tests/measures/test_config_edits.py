"""Edits of a configuration as a dictionary."""

from __future__ import annotations

from typing import Any

import pytest

from segdoctor.measures.config_edits import remove_last_activation

from ..sources.model_files import conv, functional, image_input


@pytest.mark.parametrize("notation", ["keras 3", "keras 2"])
def test_a_softmax_layer_that_is_taken_out_leaves_its_mask_behind(notation: str) -> None:
    softmax: dict[str, Any] = {
        "class_name": "Softmax",
        "module": "keras.layers",
        "name": "soft",
        "config": {"name": "soft", "axis": -1, "dtype": "float32"},
    }
    config = functional(image_input(), conv(), softmax)["config"]
    entry = config["layers"][-1]
    if notation == "keras 3":
        entry["inbound_nodes"] = [{"args": [["conv2d", 0, 0]], "kwargs": {"mask": None}}]
    else:
        entry["inbound_nodes"] = [[["conv2d", 0, 0, {"mask": None}]]]
    assert remove_last_activation(config) == "soft"
    assert "mask" not in str(entry["inbound_nodes"])
    assert (entry["class_name"], entry["config"]["activation"]) == ("Activation", "linear")
