"""Checks that several schedules make of their settings."""

from __future__ import annotations

from typing import Any

from mxtrain.errors import CallError


def check_steps(steps: Any) -> None:
    """Raise unless `steps` is a list of rising update numbers (CallError, ValueError)."""
    if not isinstance(steps, list) or not steps:
        raise CallError(f"step must be a list of at least one update number, got {steps!r}")
    for number, step in enumerate(steps):
        if number and step <= steps[number - 1]:
            raise ValueError(f"step must increase from entry to entry, got {steps}; sort it")
        if step < 1:
            raise ValueError(f"every entry of step must be at least 1, got {step} in {steps}")


def check_count(name: str, count: Any, least: int = 1) -> None:
    """Raise CallError unless `count` is an ``int``, and ValueError if it is below `least`."""
    if not isinstance(count, int):
        raise CallError(
            f"{name} must be an int, got {count!r} of type {type(count).__name__}; give a whole "
            "number of updates"
        )
    if count < least:
        raise ValueError(f"{name} must be at least {least}, got {count}; raise it")


def check_choice(name: str, value: Any, choices: tuple[str, ...]) -> None:
    """Raise ValueError for a value that is none of `choices`."""
    if value not in choices:
        listed = ", ".join(map(repr, choices))
        raise ValueError(f"{name} is one of {listed}, got {value!r}")
