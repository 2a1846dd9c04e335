"""``mxtrain list-initializers``."""

from __future__ import annotations

from mxtrain.cli.listing import list_command

command = list_command("initializer", "initializers")
