"""What the figures were measured on, in a few lines that name no host and no path."""

from __future__ import annotations

import math
import os
import platform
import re
import time
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

CPUINFO = Path("/proc/cpuinfo")


def facts(packages: Iterable[str]) -> str:
    """Return date, processor, cores, Python, the versions of `packages` and the load."""
    installed = (f"{name} {version_of(name)}" for name in packages)
    lines = [
        f"date      {time.strftime('%Y-%m-%d')}",
        f"machine   {cpu_model()}, {usable_cores()} cores, {platform.system()}",
        f"versions  Python {platform.python_version()}, {', '.join(installed)}",
    ]
    if hasattr(os, "getloadavg"):
        lines.append(f"load      {os.getloadavg()[0]:.2f} over the last minute, before measuring")
    return "\n".join(lines)


def cpu_model() -> str:
    """Return the processor's name as the system tells it, with its family where that is given."""
    if not CPUINFO.exists():
        return platform.processor() or platform.machine()
    pairs = (line.partition(":") for line in CPUINFO.read_text(encoding="utf-8").splitlines())
    found: dict[str, str] = {}
    for key, _, value in pairs:
        found.setdefault(key.strip(), value.strip())
    if "model name" not in found:
        return platform.machine()
    vectors = "AVX-512" if "avx512f" in found.get("flags", "") else "no AVX-512"
    return (
        f"{found['model name']} (family {found['cpu family']}, model {found['model']}, {vectors})"
    )


def usable_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def version_of(package: str) -> str:
    """Return the installed version of a package."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def described(packages: Iterable[str]) -> dict[str, Any]:
    """Return date, processor, cores, memory and versions for a file of results."""
    return {
        "date": time.strftime("%Y-%m-%d"),
        "processor": cpu_model(),
        "cores": usable_cores(),
        "memory_gib": round(_memory("MemTotal") / 2**30),
        "system": platform.system(),
        "python": platform.python_version(),
        "versions": {name: version_of(name) for name in packages},
        "blas": blas(),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "threads": {k: os.environ[k] for k in sorted(os.environ) if k.endswith("_NUM_THREADS")},
    }


def blas() -> str:
    """Return the BLAS that NumPy computes with, and its threads."""
    import numpy  # noqa: F401 - threadpoolctl sees the libraries that are loaded
    from threadpoolctl import threadpool_info

    found = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    return ", ".join(
        f"{p['internal_api']} {p['version']}, {p['num_threads']} threads" for p in found
    )


def available_memory() -> float:
    """Return the bytes that can be taken without swapping; unlimited where no one tells."""
    return _memory("MemAvailable") or math.inf


def _memory(name: str) -> float:
    path = Path("/proc/meminfo")
    if not path.exists():
        return 0.0
    lines = path.read_text(encoding="utf-8").splitlines()
    return next((1024.0 * int(line.split()[1]) for line in lines if line.startswith(name)), 0.0)


def short_name() -> str:
    """Return the machine in a few letters for the name of a file."""
    words = re.findall(r"[a-z0-9]+", cpu_model().partition("(family")[0].lower())
    return "-".join([*words[:4], f"{usable_cores()}-cores"])
