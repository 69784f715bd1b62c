"""Which finding leads and which are its symptoms, and the order in which they are told.

One cause has many symptoms. A symptom whose leader is present is kept below it, as information;
an independent second fault is never hidden: where a re-measurement under the leader's fix shows
that the symptom is still there, it stands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from segdoctor.core.catalogue import CATALOGUE, SEVERITIES
from segdoctor.core.finding import Finding

_LABEL_LEADERS = ("LBL004", "LBL005", "LBL006", "LBL007", "LBL012")
_OUT_LEADERS = ("OUT001", "OUT002", "OUT003", "OUT004", "OUT006", "OUT007")
_PART_LEADERS = ("TRIAL004", "TRIAL005", "TRIAL006", "TRIAL007")

EXPLAINS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(_LABEL_LEADERS, ("LBL003", "IGN004", "IGN005", "DATA011")),
    "LBL003": ("OUT008", "IGN003", "LOSS001", "LOSS004"),
    "OUT008": ("IGN003", "LOSS001", "LOSS004", "LBL002"),
    "IGN003": ("IGN001", "LOSS001", "LOSS004"),
    "LBL009": ("LBL002", "LBL011", "LOSS001", "LOSS004", "LOSS007"),
    "LBL011": ("GRAD002", "GRAD006"),
    "LBL010": ("LBL003", "IGN003", "IGN009", "LOSS001", "LOSS002", "LOSS004"),
    "LBL002": ("LOSS001", "LOSS007"),
    "LBL008": (
        *("LBL003", "OUT008", "IGN003", "LOSS001", "LOSS002", "LOSS003", "LOSS004", "LOSS007"),
        "LOSS009",
    ),
    "LBL001": ("LBL002", "LOSS001", "LOSS007"),
    "LOSS010": ("LOSS002", "LOSS003"),
    "LOSS004": ("GRAD004",),
    **dict.fromkeys(("LOSS006", "LOSS007"), ("LOSS002", "LOSS004")),
    "LOSS005": ("LOSS002", "LOSS004", "LOSS007"),
    **dict.fromkeys(("IGN004", "IGN005", "IGN006"), ("IGN001", "IGN007")),
    **dict.fromkeys(_OUT_LEADERS, ("LOSS002", "LOSS003", "LOSS004", "GRAD006")),
    "IGN002": ("IGN001",),
    "IGN001": ("LOSS002",),
    # An arg max gives neither scores nor probabilities, whatever they look like.
    "MDL005": (
        "MDL009",
        "GRAD001",
        "OUT001",
        "OUT002",
        "OUT005",
        "OUT008",
        "LBL002",
        "LOSS001",
        "LOSS004",
    ),
    "OUT004": ("LOSS002", "LOSS003", "LOSS004", "GRAD006", "OUT005"),
    "OUT006": ("LOSS002", "LOSS003", "LOSS004", "GRAD006", "OUT005"),
    "MDL008": ("LBL002", "LOSS001", "LOSS004", "LOSS007"),
    "LOSS003": ("GRAD001",),
    "GRAD007": ("GRAD001", "MDL003"),
    "BN010": ("GRAD007", "MDL003"),
    "OPT009": ("GRAD007",),
    "DATA007": ("BN005",),
    "DATA008": ("BN005", "DATA007", "DATA010"),
    "DATA009": ("BN005",),
    "DATA010": ("GRAD002", "GRAD004", "GRAD005"),
    "MDL003": ("BN004",),
    "BN001": ("BN003",),
    "BN004": ("BN003", "BN005"),
    "BN005": ("BN003",),
    "BN003": ("TRIAL002",),
    "GRAD006": ("GRAD002", "GRAD003"),  # what comes back through a flat end tells nothing
    "GRAD002": ("GRAD005",),
    "OPT001": ("OPT003", "OPT007", "HIST001"),
    "OPT002": ("GRAD003", "GRAD004"),
    **dict.fromkeys(("HIST004", "HIST007"), ("HIST001",)),
    **dict.fromkeys(_PART_LEADERS, ("TRIAL001", "TRIAL003")),
}
"""Leader → the codes that it explains directly; explanations chain."""

STOPS_ALL = ("MDL002", "MDL004")
"""With these, nothing behind them can be judged: they explain every other finding."""

_OF_IMAGES = {
    "GRAD002": ("images of one colour", 1.0),
    "GRAD004": ("images with NaN or Inf", 1),
    "GRAD005": ("images of one colour", 1.0),
}
"""What DATA010 must show, and how much of it, to explain these; images of one colour make no NaN,
and a few of them no dead units."""

_SYMPTOMS_OF_A_PART = ("TRIAL001", "TRIAL003", *_PART_LEADERS)
_NAMES_NO_PART = ("TRIAL", "DATA", "HIST", "MET")
_AS_FED = ("DATA004", "DATA007", "DATA008", "DATA010", "DATA014", "DATA015", "DATA016")
_FAMILIES_OF = {
    "TRIAL004": ("MDL", "BN", "OUT", "GRAD", *_AS_FED),
    "TRIAL005": ("LBL", "IGN", *_AS_FED),
    "TRIAL006": ("LOSS", "IGN", "OUT", "LBL", "GRAD"),
    "TRIAL007": ("OPT", "GRAD"),
}
"""Which findings may be the fault that an exchange showed: their codes or families."""

_FAMILY_ORDER = ("MDL", "LBL", "OUT", "LOSS", "IGN", "DATA", "BN", "GRAD", "OPT", "MET", "HIST")


def reach(code: str) -> frozenset[str]:
    """All codes that ``code`` explains, directly or through others."""
    found: set[str] = set()
    queue = list(EXPLAINS.get(code, ()))
    while queue:
        nxt = queue.pop()
        if nxt not in found:
            found.add(nxt)
            queue.extend(EXPLAINS.get(nxt, ()))
    return frozenset(found)


def leader_of(code: str, present: Iterable[str]) -> str | None:
    """The code among ``present`` that explains ``code``: the one furthest up the chain."""
    candidates = set(present) - {code}
    for stopper in STOPS_ALL:
        if stopper in candidates and code not in STOPS_ALL and not code.startswith("MDL001"):
            return stopper
    leaders = [other for other in candidates if code in reach(other)]
    return max(leaders, key=lambda lead: (len(reach(lead)), lead), default=None)


def explained(
    findings: Iterable[Finding],
    still_there: Callable[[str, str], bool | None] = lambda leader, follower: None,
) -> tuple[Finding, ...]:
    """Findings with the symptoms put below their leaders, in the order in which they are told.

    Parameters
    ----------
    findings : as the probes gave them.
    still_there : ``(leader, follower) ->`` whether the follower was measured again under the
        leader's fix and is still there; None if it was not measured again.
    """
    told = tuple(findings)
    # Only an error explains an error: a healed OUT001 (info) must not hide what really happens.
    weight = {finding.code: SEVERITIES.index(finding.severity) for finding in told}
    result = []
    for finding in told:
        present = [
            other.code
            for other in told
            if weight[other.code] <= weight[finding.code] and other.severity != "info"
        ]
        if _made_by_the_model(finding):
            present = [code for code in present if "LOSS004" not in (code, *reach(code))]
        if finding.code in _OF_IMAGES and not any(_images_make(finding, other) for other in told):
            present = [code for code in present if "DATA010" not in (code, *reach(code))]
        leader = leader_of(finding.code, present) or _named_part(finding, told)
        if leader is None or still_there(leader, finding.code):
            result.append(finding)
        else:
            result.append(finding.explained_by(leader))
    return tuple(sorted(result, key=importance))


def _made_by_the_model(finding: Finding) -> bool:
    """A gradient that is no number because the output is none: no loss is to blame."""
    return finding.code == "GRAD004" and any(
        evidence.name == "the output itself is finite" for evidence in finding.evidence
    )


def _images_make(finding: Finding, other: Finding) -> bool:
    """Whether the images are such that they explain a finding about the gradient."""
    name, least = _OF_IMAGES[finding.code]
    shown = [each.value for each in other.evidence if each.name == name]
    return other.code == "DATA010" and any(float(value or 0) >= least for value in shown)


def _named_part(finding: Finding, told: tuple[Finding, ...]) -> str | None:
    """The finding that names the fault of which the trial showed ``finding``: an error that the
    trial did not refute, first one whose fix was decisive.

    An exchange is made with the fixes applied. What it blames is none of those: the run did not
    learn although their evidence was gone.
    """
    if finding.code not in _SYMPTOMS_OF_A_PART:
        return None
    named = _FAMILIES_OF.get(finding.code)
    parts = [
        other
        for other in told
        if other.severity == "error"
        and other.because_of is None
        and (
            other.code.startswith(named)
            if named
            else CATALOGUE[other.code].family not in _NAMES_NO_PART
        )
        and (other.verdict is None or other.verdict.status != "refuted")
        and not (named and other.verdict and other.verdict.effect == "removes the evidence")
    ]
    parts.sort(key=importance)
    return parts[0].code if parts else None


def importance(finding: Finding) -> tuple[int, int, int, int]:
    """Sort key: leaders first, then severity, then what the trial proved, then the catalogue."""
    verdict = finding.verdict
    proof = 3
    if verdict is not None:
        proof = {"decisive": 0, "removes the evidence": 1, "none": 3}[verdict.effect]
        if verdict.status == "refuted":
            proof = 4
    codes = list(CATALOGUE)
    family = CATALOGUE[finding.code].family
    rank = _FAMILY_ORDER.index(family) if family in _FAMILY_ORDER else len(_FAMILY_ORDER)
    return (
        SEVERITIES.index(finding.severity) + (1 if finding.because_of else 0),
        proof,
        rank,
        codes.index(finding.code),
    )
