"""Takes from this process what the code of a stranger's file has no need of.

On Linux, by Landlock: nothing is written outside one folder, nothing is started, no TCP; by
seccomp: no socket at all. Elsewhere only the limits of the system apply, and it is said.
Pure system calls: nothing but the standard library is imported, so that it can come first.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import sys
from contextlib import suppress
from pathlib import Path

# include/uapi/linux/landlock.h; the numbers of the calls are those of every architecture.
_CREATE, _ADD, _RESTRICT = 444, 445, 446
_EXECUTE, _WRITE = 1 << 0, 1 << 1
_CHANGES = sum(1 << bit for bit in (1, 4, 5, 6, 7, 8, 9, 10, 11, 12))  # write, remove, make …
_REFER, _TRUNCATE = 1 << 13, 1 << 14  # from versions 2 and 3 on
_TCP = 0b11  # bind, connect: from version 4 on
_SCOPES = 0b11  # abstract sockets, signals: from version 6 on
_NO_NEW_PRIVILEGES, _SET_SECCOMP, _PARENT_DEATH = 38, 22, 1

# Devices that a computation writes to; everything else below /dev stays closed.
_DEVICES = (
    "/dev/null",
    "/dev/zero",
    "/dev/nvidia*",
    "/dev/nvidia-caps/*",
    "/dev/dri/*",
    "/dev/kfd",
)

# socket, connect, ptrace, execve, execveat, process_vm_writev, bpf, io_uring_setup; and what
# Landlock leaves: chmod, chown, setxattr in all their forms
_DENIED = {
    "x86_64": (
        0xC000003E,
        (
            *(41, 42, 101, 59, 322, 311, 321, 425),
            *(90, 91, 268, 452, 92, 93, 94, 260, 188, 189, 190),
        ),
    ),
    "aarch64": (
        0xC00000B7,
        (*(198, 203, 117, 221, 281, 271, 280, 425), *(52, 53, 452, 54, 55, 5, 6, 7)),
    ),
}
_X32 = 0x40000000
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050000 | 13, 0x80000000  # 13: EACCES


class SandboxError(OSError):
    """The system refused one of the steps; nothing was run."""


def landlock_version() -> int:
    """The version of Landlock that the kernel speaks; 0 where there is none."""
    if sys.platform != "linux":
        return 0
    found = int(_libc().syscall(_CREATE, None, ctypes.c_size_t(0), ctypes.c_uint32(1)))
    return max(found, 0)


def confine(folder: str | os.PathLike[str]) -> str:
    """Confine this process and all that it starts; there is no way back.

    Parameters
    ----------
    folder : the one place that may be written to.

    Returns
    -------
    str
        What holds from now on, in words; where there is no sandbox, that there is none.

    Raises
    ------
    SandboxError
        The kernel has Landlock and refused it all the same.
    """
    version = landlock_version()
    if not version:
        return "no sandbox: this system has no Landlock (Linux 5.13 or later has)"
    if _libc().prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0):
        raise SandboxError(ctypes.get_errno(), "no_new_privs was refused")
    _landlock(version, Path(folder))
    sockets = _seccomp()
    network = "no network" if sockets else ("no TCP" if version >= 4 else "the network is open")
    return f"sandbox: nothing is written outside a temporary folder, nothing is started, {network}"


def die_with_parent(parent: int) -> None:
    """Have the kernel end this process when ``parent`` ends, however that ends."""
    if sys.platform == "linux":
        _libc().prctl(_PARENT_DEATH, 9, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)


def limit_memory() -> None:
    """At most four fifths of the memory that the machine has to give now, and no core dump.

    Beyond it an allocation fails, in this process alone, before the system must choose one to end;
    if it must all the same, this one is chosen first.
    """
    if sys.platform != "linux":
        return
    import resource

    fields = dict(
        line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines() if ":" in line
    )
    available = (int(fields["MemAvailable"].split()[0]) << 10) * 4 // 5
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    most = max(available, 1 << 30)
    resource.setrlimit(resource.RLIMIT_DATA, (most if hard < 0 else min(most, hard), hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    chosen_first()


def chosen_first() -> None:
    """Where the system must end a process because memory runs out, it ends this one."""
    if sys.platform == "linux":
        with suppress(OSError):  # some containers do not let it be changed
            Path("/proc/self/oom_score_adj").write_text("900")


def _landlock(version: int, folder: Path) -> None:
    handled = _EXECUTE | _CHANGES
    handled |= (_REFER if version >= 2 else 0) | (_TRUNCATE if version >= 3 else 0)
    parts = [handled]
    if version >= 4:
        parts.append(_TCP)
    if version >= 6:
        parts.append(_SCOPES)
    attributes = struct.pack(f"<{len(parts)}Q", *parts)
    rules = _call(_CREATE, attributes, len(attributes), 0)
    try:
        _allow(rules, folder, handled & ~_EXECUTE)
        for pattern in _DEVICES:
            for device in Path("/").glob(pattern.lstrip("/")):
                _allow(rules, device, _WRITE | (_TRUNCATE if version >= 3 else 0))
        _call(_RESTRICT, rules, 0)
    finally:
        os.close(rules)


def _allow(rules: int, path: Path, access: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        _call(_ADD, rules, 1, struct.pack("<Qi", access, place), 0)
    finally:
        os.close(place)


def _seccomp() -> bool:
    """Refuse sockets, starting programs and touching other processes; False where this kind of
    machine is not known."""
    machine = _DENIED.get(platform.machine())
    if machine is None:
        return False
    architecture, numbers = machine
    count = len(numbers)
    program = [
        _step(0x20, 0, 0, 4),  # load the architecture
        _step(0x15, 1, 0, architecture),
        _step(0x06, 0, 0, _KILL),
        _step(0x20, 0, 0, 0),  # load the number of the call
        _step(0x35, count + 1, 0, _X32),
        *(_step(0x15, count - index, 0, number) for index, number in enumerate(numbers)),
        _step(0x06, 0, 0, _ALLOW),
        _step(0x06, 0, 0, _REFUSE),
    ]
    steps = ctypes.create_string_buffer(b"".join(program))

    class Filter(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.c_void_p))

    whole = Filter(len(program), ctypes.cast(steps, ctypes.c_void_p))
    return not _libc().prctl(_SET_SECCOMP, 2, ctypes.byref(whole), 0, 0)


def _step(code: int, jump_true: int, jump_false: int, operand: int) -> bytes:
    return struct.pack("<HBBI", code, jump_true, jump_false, operand)


def _call(number: int, *arguments: bytes | int) -> int:
    given = [a if isinstance(a, bytes) else ctypes.c_long(a) for a in arguments]
    found = int(_libc().syscall(ctypes.c_long(number), *given))
    if found < 0:
        raise SandboxError(ctypes.get_errno(), f"Landlock refused the call {number}")
    return found


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
