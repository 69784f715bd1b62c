"""``segdoctor list`` and ``segdoctor explain``: the catalogue, and the page of a code.

The page is made from the probe itself, so that a threshold is never copied into prose.
"""

from __future__ import annotations

import textwrap

from segdoctor.core.catalogue import CATALOGUE, FAMILIES, codes_matching
from segdoctor.core.errors import UserError
from segdoctor.core.probe import Probe
from segdoctor.probes.registry import PROBES, SECOND_PASS

WIDTH = 88


def listing() -> str:
    """Every code with its severity and cause; those without a probe yet are marked."""
    have = {probe.code for probe in (*PROBES, *SECOND_PASS)}
    lines = []
    for family, title in FAMILIES.items():
        lines += ["", f"{family} · {title}"]
        for entry in CATALOGUE.values():
            if entry.family == family:
                mark = " " if entry.code in have else "–"
                lines.append(f"  {mark} {entry.code:<8} {entry.severity:<8} {entry.slug}")
    lines += ["", "– has no probe in this version yet.   segdoctor explain CODE says more."]
    return "\n".join(lines[1:])


def page_of(code: str) -> str:
    """The page of a code, a slug or (short) of every code of a family.

    Raises
    ------
    UserError
        If there is no such code.
    """
    codes = sorted(codes_matching((code,)))
    if len(codes) > 1:
        raise UserError(f"{code!r} is a family: expected one of {', '.join(codes)}")
    entry = CATALOGUE[codes[0]]
    probe = _probe_of(entry.code)
    parts = [f"{entry.code} {entry.slug} ({entry.severity})", "", _wrapped(entry.cause)]
    if probe is None:
        return "\n".join([*parts, "", "This version has no probe for it yet."])
    for title, text in _sections(probe):
        if text.strip():
            parts += ["", title, textwrap.indent(_wrapped(text), "  ")]
    return "\n".join(parts)


def markdown_of(code: str) -> str:
    """The same page in Markdown, for the documentation site."""
    entry, probe = CATALOGUE[code], _probe_of(code)
    head = f"# {code} {entry.slug}\n\n*{entry.severity}* · {FAMILIES[entry.family]}\n\n"
    parts = [head + _sentence(entry.cause)]
    if probe is None:
        return parts[0] + "\n\nThis version has no probe for it yet: *not examined*.\n"
    for title, text in _sections(probe):
        if title == "Limits":
            rows = [f"| `{n}` | {v} | {doc} |" for n, v, doc in probe.thresholds()]
            text = "\n".join(["| limit | value | meaning |", "| --- | --- | --- |", *rows])
            text = text if rows else ""
        if text.strip():
            parts.append(f"## {title}\n\n{_fenced(text)}")
    return "\n\n".join(parts) + "\n"


def _sentence(cause: str) -> str:
    return f"{cause[:1].upper()}{cause[1:]}."


def _fenced(text: str) -> str:
    """Indented lines are code and get a fence, so that Python is coloured."""
    out: list[str] = []
    inside = False
    for line in textwrap.dedent(text).strip().split("\n"):
        code = line.startswith("    ") or (inside and not line.strip())
        if code != inside:
            out.append("```python" if code else "```")
            inside = code
        out.append(line.removeprefix("    ") if code else line)
    return "\n".join([*out, "```"] if inside else out)


def _probe_of(code: str) -> Probe | None:
    return next((probe for probe in (*PROBES, *SECOND_PASS) if probe.code == code), None)


def _sections(probe: Probe) -> tuple[tuple[str, str], ...]:
    return (
        ("How it is measured", probe.how),
        ("Limits", _limits(probe)),
        ("Why it matters", probe.why),
        ("How to fix it", probe.fix),
        ("Fine, and not reported", probe.fine),
        ("Sources", probe.sources),
    )


def _limits(probe: Probe) -> str:
    return "\n".join(f"{name} = {value}: {doc}" for name, value, doc in probe.thresholds())


def _wrapped(text: str) -> str:
    """Prose is wrapped; indented lines (code) and list lines keep their breaks."""
    out = []
    for block in textwrap.dedent(text).strip().split("\n"):
        keep = block.startswith((" ", "-", "*"))
        out.append(block if keep else textwrap.fill(block, WIDTH - 2))
    return "\n".join(out)
