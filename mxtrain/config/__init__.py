"""YAML to a checked spec, and back: every mistake of a config with its line.

`load` reads a config; `RunSpec` is what it says, with defaults filled in; `to_yaml` writes
a spec as a config that loads to the same spec; `schema` describes the file for editors.
"""

from __future__ import annotations

from mxtrain.config.check import load
from mxtrain.config.problem import ConfigErrors, Mark, Problem
from mxtrain.config.schema import schema
from mxtrain.config.spec import (
    CheckpointSpec,
    CompareSpec,
    Component,
    DataSpec,
    EarlyStoppingSpec,
    FeaturesSpec,
    FileSymbol,
    FitSpec,
    FractionSpec,
    NodeSpec,
    PythonSymbol,
    RunSpec,
    SourceSpec,
    WeightsSpec,
)
from mxtrain.config.write import to_yaml

__all__ = [
    "CheckpointSpec",
    "CompareSpec",
    "Component",
    "ConfigErrors",
    "DataSpec",
    "EarlyStoppingSpec",
    "FeaturesSpec",
    "FileSymbol",
    "FitSpec",
    "FractionSpec",
    "Mark",
    "NodeSpec",
    "Problem",
    "PythonSymbol",
    "RunSpec",
    "SourceSpec",
    "WeightsSpec",
    "load",
    "schema",
    "to_yaml",
]
