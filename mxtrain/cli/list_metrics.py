"""``mxtrain list-metrics``."""

from __future__ import annotations

from mxtrain.cli.listing import list_command

command = list_command("metric", "metrics")
