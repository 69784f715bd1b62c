"""A stranger's exception is one line that says what is wrong, and nothing else."""

from __future__ import annotations

import pytest

from segdoctor.core.error_line import error_line

_SUM = (
    "{{function_node __wrapped__Sum_device_/job:localhost/device:CPU:0}} Invalid reduction "
    "dimension (1 for input with 1 dimension(s) [Op:Sum] name: "
)


_USER_CODE = (
    'in user code:\n\n    File "train.py", line 3, in dice  *\n        return a * b\n\n'
    "    ValueError: {{function_node __wrapped__Mul}} cannot compute Mul [Op:Mul] name: \n"
)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (_SUM, "ValueError: Invalid reduction dimension (1 for input with 1 dimension(s)"),
        ("Exception encountered:\n\nIncompatible shapes: [2] vs. [3] [Op:Mul] name:",
         "ValueError: Incompatible shapes: [2] vs. [3]"),
        (_USER_CODE, "ValueError: cannot compute Mul"),
        ("", "ValueError"),
    ],
)  # fmt: skip
def test_what_is_told(text: str, line: str) -> None:
    assert error_line(ValueError(text)) == line
