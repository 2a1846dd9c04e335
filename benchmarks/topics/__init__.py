"""The parts of the command, in the order in which they are measured and shown."""

from __future__ import annotations

from importlib import import_module

from options import Topic

KEYS = ("step", "fit", "batch", "scaling", "updates", "startup", "loading", "gpu")


def topic(key: str) -> Topic:
    """Return a topic by its key."""
    found: Topic = import_module(f"topics.{key}").TOPIC
    return found
