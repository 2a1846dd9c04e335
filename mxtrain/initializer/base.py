"""`Initializer`: which rule a parameter gets by its name, text forms, and the registry.

An initializer is called with a parameter's `InitDesc` (its name and attributes) and its array,
which it fills in place. Subclasses say what a *weight* gets; biases, gammas and the like have
rules of their own.
"""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Callable, Mapping
from math import sqrt
from typing import TYPE_CHECKING, Any, TypeVar

from mxtrain.errors import CallError
from mxtrain.initializer.names import RULES, WORDS, InitDesc, plain_rule, rule_of
from mxtrain.random import generator
from mxtrain.registry import Registry
from mxtrain.settings import Declared

# NumPy is imported inside functions: listing the initializers must not pay for it.
if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_log = logging.getLogger(__name__)


class Initializer(Declared):
    """Base of all initializers.

    ``initializer(desc, array)`` fills `array`: by the initializer in ``desc.attrs["__init__"]`` if
    there is one (its weight rule, whatever the name), else by what the name ends with: ``weight``
    the weight rule of this initializer, ``bias`` 0, ``gamma`` 1, ``beta`` 0, ``min`` 0, ``max`` 1.
    Other names are a ValueError. A plain string in place of an `InitDesc` is deprecated and
    follows MXNet's older list, which also knows ``moving_mean`` and the like.

    A subclass defines ``_init_weight(self, name, array)``, and may replace ``_init_bias``,
    ``_init_gamma``, ``_init_beta`` and ``_init_default``. Its settings are declared fields, or an
    ordinary ``__init__`` that hands them on: ``super().__init__(scale=scale)``. They are what
    `dumps` writes and what equality compares.

    Source: MXNet 1.9.1, class ``Initializer``.
    """

    _refuses = True
    _verbose = False
    _print_func: Callable[[Any], str] | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._kwargs: dict[str, Any] = {}
        if self._fields:
            super().__init__(*args, **kwargs)
        elif args:
            raise TypeError(
                f"{type(self).__name__}() takes keyword arguments only, got {len(args)} others"
            )
        else:
            self._kwargs = kwargs

    def configure(self, values: dict[str, Any]) -> None:
        """Take the declared settings; each becomes an attribute and part of `dumps`."""
        super().configure(values)
        self._kwargs = dict(values)

    # -- choosing a rule ---------------------------------------------------------------------

    def __call__(self, desc: str, arr: Array) -> None:
        """Fill `arr` in place by the rule that `desc` asks for (see the class)."""
        _check_arguments(desc, arr)
        if not isinstance(desc, InitDesc):
            warnings.warn(
                f"an initializer was called with the plain name '{desc}'; "
                "pass InitDesc(name, attrs) instead",
                DeprecationWarning,
                stacklevel=2,
            )
            self._apply(plain_rule(desc), desc, arr)
            return
        if desc.global_init is None:
            desc.global_init = self
        text = desc.attrs.get("__init__")
        if text:
            create(text)._init_weight(desc, arr)
            self._say(desc, text, arr)
        else:
            self._apply(rule_of(desc)[1], desc, arr)

    def _apply(self, rule: str, name: str, array: Array) -> None:
        getattr(self, rule)(name, array)
        self._say(name, rule.removeprefix("_init_"), array)

    def rule_for(
        self,
        name: str,
        attrs: Mapping[str, str] | None = None,
        shape: tuple[int, ...] | None = None,
    ) -> str:
        """Say in words how a parameter would be filled; `attrs` default to those of an `InitDesc`.

        Raises what the call would raise for such a name.

        >>> from mxtrain.initializer import Xavier
        >>> Xavier().rule_for("fc1_weight", shape=(8, 4))
        'Xavier: uniform ±0.7071'
        >>> Xavier().rule_for("fc1_bias")
        'zero (name ends with bias)'
        """
        own_class = type(self).__name__
        if type(self).__call__ is not Initializer.__call__:
            return own_class
        attrs = getattr(name, "attrs", {}) if attrs is None else attrs
        text = attrs.get("__init__")
        if text:
            return f"from its init attribute: {create(text)._weight_words(shape)}"
        ending, rule = rule_of(name)
        if rule == "_init_weight":
            return self._weight_words(shape)
        if getattr(type(self), rule) is not getattr(Initializer, rule):
            return f"{own_class} (name ends with {ending})" if ending else own_class
        if rule == "_init_default":
            self._no_rule(name)
        return f"{WORDS[rule]} (name ends with {ending})"

    def _weight_words(self, shape: tuple[int, ...] | None) -> str:
        words = self.describe(shape)
        return f"{type(self).__name__}: {words}" if words else type(self).__name__

    def describe(self, shape: tuple[int, ...] | None) -> str:
        """Say in a few words what the weight rule does to an array of this shape (None: any)."""
        return ", ".join(f"{key} {value}" for key, value in self._kwargs.items())

    # -- the rules ---------------------------------------------------------------------------

    def _init_weight(self, name: str, array: Array) -> None:
        raise NotImplementedError(
            f"{type(self).__name__} has no weight rule: define _init_weight(self, name, array)"
        )

    def _init_bias(self, name: str, array: Array) -> None:
        array[...] = 0

    def _init_gamma(self, name: str, array: Array) -> None:
        array[...] = 1

    def _init_beta(self, name: str, array: Array) -> None:
        array[...] = 0

    def _init_zero(self, name: str, array: Array) -> None:
        array[...] = 0

    def _init_one(self, name: str, array: Array) -> None:
        array[...] = 1

    def _init_quantized_weight(self, name: str, array: Array) -> None:
        array[...] = generator().integers(-127, 127, array.shape)

    def _init_quantized_bias(self, name: str, array: Array) -> None:
        array[...] = 0

    def _init_bilinear(self, name: str, array: Array) -> None:
        create("bilinear")._init_weight(name, array)

    def _init_loc_bias(self, name: str, array: Array) -> None:
        if array.shape != (6,):
            raise CallError(
                f"'{name}' starts as the identity of a spatial transformer, so it has shape (6,), "
                f"not {array.shape}; rename it or give it an init attribute"
            )
        array[...] = (1, 0, 0, 0, 1, 0)

    def _init_default(self, name: str, array: Array) -> None:
        self._no_rule(name)

    def _no_rule(self, name: str) -> None:
        raise ValueError(
            f"no initializer rule for the name '{name}': it ends with none of {', '.join(RULES)}; "
            f"rename it, or give its variable an initializer: Variable('{name}', init=...)"
        )

    # -- log lines ---------------------------------------------------------------------------

    def set_verbosity(
        self, verbose: bool = False, print_func: Callable[[Any], str] | None = None
    ) -> Initializer:
        """Log a line for each array filled, and return this initializer.

        `print_func` turns an array into text; by default that is its norm over the root of its
        size. Lines have level INFO.
        """
        self._verbose = verbose
        self._print_func = print_func or _size_in_words
        return self

    def _say(self, name: str, rule: str, array: Array) -> None:
        if self._verbose and self._print_func is not None:
            _log.info("Initialized %s as %s: %s", name, rule, self._print_func(array))

    # -- text form ---------------------------------------------------------------------------

    def dumps(self) -> str:
        """Return the JSON text ``[name, {arguments}]``, from which `create` makes an equal one.

        >>> from mxtrain.initializer import Uniform
        >>> Uniform(0.1).dumps()
        '["uniform", {"scale": 0.1}]'
        """
        return json.dumps([type(self).__name__.lower(), self._kwargs], default=_plain)

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return _comparable(self._kwargs) == _comparable(other._kwargs)

    def __repr__(self) -> str:
        arguments = ", ".join(f"{key}={value!r}" for key, value in self._kwargs.items())
        return f"{type(self).__name__}({arguments})"


def _check_arguments(desc: Any, array: Any) -> None:
    import numpy as np

    if not isinstance(desc, str):
        raise TypeError(
            f"an initializer is called with a parameter's name (InitDesc), not with {desc!r:.60}"
        )
    if not isinstance(array, np.ndarray):
        raise TypeError(f"'{desc}' is a {type(array).__name__}; an initializer fills an array")


def _size_in_words(array: Array) -> str:
    import numpy as np

    return str(float(np.linalg.norm(array) / sqrt(array.size)))


def _plain(value: Any) -> Any:
    """Return the JSON form of an argument: nested lists for arrays, texts for initializers."""
    if isinstance(value, Initializer):
        return value.dumps()
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"an initializer's argument cannot be written as JSON: {value!r:.80}")


def _comparable(arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: value.tolist() if hasattr(value, "tolist") else value
        for key, value in arguments.items()
    }


C = TypeVar("C", bound=type[Initializer])

registry: Registry[Initializer] = Registry("initializer", unknown=CallError)


def register(cls: C) -> C:
    """Enter an initializer class under its lower-cased name (a decorator)::

    @register
    class Halves(Initializer):
        def _init_weight(self, name, array):
            array[...] = 0.5
    """
    if not (isinstance(cls, type) and issubclass(cls, Initializer)):
        raise CallError(f"register takes a subclass of Initializer, not {cls!r}")
    return registry.register(cls)


def alias(*names: str) -> Callable[[C], C]:
    """Return a decorator that enters a class under further names."""

    def add(cls: C) -> C:
        return registry.alias(*names)(register(cls))

    return add


def create(initializer: Any, *args: Any, **kwargs: Any) -> Initializer:
    """Make an initializer from a name, a JSON text or a dict; an instance is returned as it is.

    The JSON text is a list ``["xavier", {"magnitude": 2}]`` or an object
    ``{"initializer": "xavier", "magnitude": 2}``.

    Raises CallError for an unknown name, for arguments beside an instance or a JSON text, and for
    anything that is none of these; ValueError for a damaged JSON text; TypeError for wrong
    arguments.

    >>> create('["normal", {"sigma": 0.5}]')
    Normal(sigma=0.5)
    """
    if isinstance(initializer, str) and not initializer.startswith(("[", "{")):
        return registry.create(initializer, *args, **kwargs)
    if args or kwargs:
        raise CallError(
            f"arguments go with the name of an initializer; {initializer!r:.80} has its own already"
        )
    if isinstance(initializer, Initializer):
        return initializer
    read = json.loads(initializer) if isinstance(initializer, str) else initializer
    if isinstance(read, dict) and isinstance(read.get("initializer"), str):
        arguments = {key: value for key, value in read.items() if key != "initializer"}
        return registry.create(read["initializer"], **arguments)
    if isinstance(read, list) and [type(part) for part in read] == [str, dict]:
        return registry.create(read[0], **read[1])
    if isinstance(initializer, str):
        raise ValueError(
            f"the text {initializer!r:.80} is no initializer; the form is [name, {{arguments}}]"
        )
    raise CallError(
        "an initializer is given by name, as JSON text or as an Initializer, "
        f"not as {initializer!r:.80}"
    )
