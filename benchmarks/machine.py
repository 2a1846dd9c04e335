"""What the figures were measured on, in a few lines that name no host and no path."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

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
