"""Lets ``python -m mxtrain.cli`` stand for ``mxtrain``."""

from __future__ import annotations

from mxtrain.cli import main

main()
