"""`InitDesc`, and which rule of an initializer a parameter's name asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Ending of the name -> rule; the first that matches wins.
RULES = {
    "weight": "_init_weight",
    "bias": "_init_bias",
    "gamma": "_init_gamma",
    "beta": "_init_beta",
    "min": "_init_zero",
    "max": "_init_one",
    "weight_quantize": "_init_quantized_weight",
    "bias_quantize": "_init_quantized_bias",
}
# The same for names given as plain text, after the three rules of `plain_rule`.
PLAIN_RULES = {
    "bias": "_init_bias",
    "gamma": "_init_gamma",
    "beta": "_init_beta",
    "weight": "_init_weight",
    "moving_mean": "_init_zero",
    "moving_var": "_init_one",
    "moving_inv_var": "_init_zero",
    "moving_avg": "_init_zero",
    "min": "_init_zero",
    "max": "_init_one",
}
WORDS = {
    "_init_bias": "zero",
    "_init_gamma": "one",
    "_init_beta": "zero",
    "_init_zero": "zero",
    "_init_one": "one",
    "_init_quantized_weight": "random integers in [-127, 127)",
    "_init_quantized_bias": "zero",
}


class InitDesc(str):
    """The name of a parameter, with what an initializer has to know about it.

    Parameters
    ----------
    name : the parameter's name (an `InitDesc` is this string).
    attrs : attributes of the variable; ``__init__`` holds the text of an initializer of its own.
    global_init : the initializer of the whole network; the first one called enters itself here.
    """

    attrs: dict[str, str]
    global_init: Any

    def __new__(
        cls, name: str, attrs: Mapping[str, str] | None = None, global_init: Any = None
    ) -> InitDesc:
        """Make the string; its attributes are those of the class."""
        self = super().__new__(cls, name)
        self.attrs = dict(attrs or {})
        self.global_init = global_init
        return self


def rule_of(name: str, rules: Mapping[str, str] = RULES) -> tuple[str, str]:
    """Return the ending of `name` that decides and its rule (no ending: the default rule)."""
    for ending, rule in rules.items():
        if name.endswith(ending):
            return ending, rule
    return "", "_init_default"


def plain_rule(name: str) -> str:
    """Return the rule for a name that came as plain text."""
    if name.startswith("upsampling"):
        return "_init_bilinear"
    if name.startswith("stn_loc") and name.endswith("weight"):
        return "_init_zero"
    if name.startswith("stn_loc") and name.endswith("bias"):
        return "_init_loc_bias"
    return rule_of(name, PLAIN_RULES)[1]
