"""What was mended, as text for the terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.syntax import Syntax
from rich.text import Text

from segdoctor.core.finding import Finding
from segdoctor.remedy.mend import Mended

_IN_THE_SCRIPT = ("loss.", "optimizer.")


def show(mended: Mended, console: Console) -> None:
    """Print ``mended``."""
    console.print(Group(*_parts(mended)))


def _parts(mended: Mended) -> Iterator[RenderableType]:
    report, plan = mended.report, mended.plan
    yield Text.assemble(("segdoctor fix ", "bold"), report.subject)
    yield Text("")
    yield Text(report.headline)
    for finding in plan.confirmed:
        yield Text("")
        yield from _confirmed(mended, finding)
    if plan.left:
        yield Text("")
        yield Text("Left as it is", style="bold")
        for finding, why in plan.left:
            yield _inset(f"{finding.code} {finding.slug}: {why}")
    if mended.diffs:
        yield Text("")
        yield Text("The diff of your script (it was not changed)", style="bold")
        for diff in mended.diffs:
            yield Syntax(diff.rstrip("\n"), "diff", background_color="default", word_wrap=False)
    yield Text("")
    if mended.written:
        yield Text("new: " + ", ".join(mended.written), style="bold")
    elif plan.confirmed:
        yield Text("Nothing was written: what is to be changed is in your script.")
    else:
        yield Text("Nothing was written: no finding of this run was confirmed by a trial.")
    for note in mended.notes:
        yield Text(f"note: {note}")


def _confirmed(mended: Mended, finding: Finding) -> Iterator[RenderableType]:
    effect = finding.verdict.effect if finding.verdict else ""
    yield Text.assemble((f"{finding.code} {finding.slug}", "bold"), f"  confirmed, {effect}")
    yield _inset(finding.message)
    fix = finding.fix
    if fix is None:
        return
    for name in fix.patch:
        if name in mended.done:
            yield _inset(f"done     {mended.done[name]}")
        elif name in mended.undone:
            yield _inset(f"not done {name}: {mended.undone[name]}")
    shown = any(_in_a_diff(mended, name) for name in fix.patch)
    if _needs_code(mended, finding) and not shown:
        at = f" at {finding.place.file}:{finding.place.line}" if finding.place else ""
        yield _inset(f"in your script{at}: {fix.words}")
        if fix.code:
            code = Syntax(fix.code, "python", background_color="default", word_wrap=True)
            yield Padding(code, (0, 0, 0, 4))


def _in_a_diff(mended: Mended, name: str) -> bool:
    return mended.done.get(name, "").endswith("in the diff")


def _needs_code(mended: Mended, finding: Finding) -> bool:
    """Whether the user's script must change: where no copy has the fix, or a script that compiles
    anew would undo it."""
    assert finding.fix is not None
    patch = finding.fix.patch
    return not patch or any(n.startswith(_IN_THE_SCRIPT) or n not in mended.done for n in patch)


def _inset(text: str) -> Padding:
    return Padding(Text(text), (0, 0, 0, 2))
