"""The processor's name and instruction sets, and the cores that this process may use."""

import os
import re
from pathlib import Path

_INSTRUCTION_SETS = ("avx2", "avx512f", "avx_vnni", "avx512_vnni", "amx_int8", "amx_bf16")


def allowed_cores() -> int:
    """Return the number of physical cores that this process may use."""
    if not hasattr(os, "sched_getaffinity"):
        return os.cpu_count() or 1
    allowed = os.sched_getaffinity(0)
    cores = set()
    for cpu in allowed:
        siblings = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
        try:
            cores.add(siblings.read_text())
        except OSError:
            return len(allowed)
    return len(cores)


def processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> tuple[str | None, tuple[str, ...]]:
    """Return the processor's name and its instruction sets that matter for speed.

    Returns:
        Name and instruction sets; None and an empty list if the system does not report them.
    """
    try:
        text = cpuinfo.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None, ()
    name = re.search(r"^model name\s*: (.+)$", text, re.MULTILINE)
    flags = re.search(r"^flags\s*: (.+)$", text, re.MULTILINE)
    known = set(flags[1].split()) if flags else set()
    return name and name[1].strip(), tuple(item for item in _INSTRUCTION_SETS if item in known)
