"""``mxtrain list-operators``."""

from __future__ import annotations

from mxtrain.cli.listing import list_command

command = list_command("operator", "operators")
