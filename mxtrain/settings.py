"""Settings: one declaration per hyper-parameter.

An optimizer, initializer, scheduler, metric or operator declares its constructor parameters as
annotated class attributes::

    class Adam(Optimizer):
        learning_rate: Annotated[float, Ge(0), "step size"] = 0.001
        beta1: Annotated[float, Ge(0), Lt(1), "decay rate of the first moment"] = 0.9

That line is the only place where the name, type, range, meaning and default live. The
constructor, ``repr``, the check of the YAML, ``mxtrain show``, the JSON schema and the reference
pages read it through `settings`. A class with an ordinary ``__init__`` works the same way: its
signature is read instead.

A string inside ``Annotated`` is the meaning of the setting. `Updates` and `Registered` mark
settings that a config may state in a form of its own. Ranges (``Ge``, ``Lt``, ...) hold for YAML,
the command line and, where a class sets ``_refuses``, its constructor. Attributes assigned later
are computed with, whatever they are.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import ge, gt, le, lt
from typing import Annotated, Any, ClassVar, get_args, get_origin, get_type_hints


class _Required:
    """The default of a setting that has none."""

    def __repr__(self) -> str:
        return "required"


REQUIRED: Any = _Required()

EPOCHS = r"[0-9]+(\.[0-9]+)? ?epochs?"
"""How a config states a number of updates in epochs: ``3 epochs``."""


@dataclass(frozen=True)
class Updates:
    """Marks a setting that counts updates, or lists such counts: a config may state epochs."""


@dataclass(frozen=True)
class Registered:
    """Marks objects that a config states by registered name, with settings.

    registry : the `mxtrain.registry.Registry` that holds their classes.
    several : whether the setting is a list of them; else it is one, or None.
    """

    registry: Any
    several: bool = True


@dataclass(frozen=True)
class Setting:
    """One constructor parameter of a declared class."""

    name: str
    annotation: Any
    default: Any
    meaning: str
    constraints: tuple[Any, ...]

    @property
    def required(self) -> bool:
        """Whether the setting must be given."""
        return self.default is REQUIRED

    @property
    def plain_type(self) -> Any:
        """The type without its ``Annotated`` wrapping."""
        return _unwrap(self.annotation)[0]


class Declared:
    """Base of classes whose constructor parameters are annotated class attributes.

    The class's own parameters come first, in the order written, and may be positional (this is
    MXNet's order); those inherited are given by keyword. A base marks its parameters as
    positional for itself only. ``ClassVar`` annotations, and names starting with an underscore,
    are not parameters.
    """

    _fields: ClassVar[dict[str, Any]] = {}
    _positional: ClassVar[tuple[str, ...]] = ()
    # Whether the constructor refuses numbers out of range (operators and metrics have MXNet's
    # checks instead).
    _refuses: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        own: dict[str, Any] = {}
        for name, annotation in inspect.get_annotations(cls).items():
            if name.startswith("_") or _is_class_variable(annotation):
                continue
            own[name] = cls.__dict__.get(name, REQUIRED)
            if isinstance(_attribute_of_bases(cls, name), property) and name in cls.__dict__:
                delattr(cls, name)  # the default lives in _fields; the property stays in charge
        inherited = {k: v for base in reversed(cls.__mro__[1:]) for k, v in _own_fields(base)}
        cls._own_fields = own  # type: ignore[attr-defined]
        cls._fields = own | {k: v for k, v in inherited.items() if k not in own}
        cls._positional = tuple(own) or cls._positional

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.configure(self.bind_arguments(args, kwargs))

    def configure(self, values: dict[str, Any]) -> None:
        """Take the constructor's values, by setting; each becomes an attribute."""
        for name, value in values.items():
            setattr(self, name, value)

    @classmethod
    def bind_arguments(cls, args: Sequence[Any], kwargs: dict[str, Any]) -> dict[str, Any]:
        """Return every setting's value for a call with `args` and `kwargs`.

        TypeError for a call that does not fit, ValueError for a number out of range.
        """
        name_of_class = f"{cls.__name__}()"
        if len(args) > len(cls._positional):
            raise TypeError(
                f"{name_of_class} takes at most {len(cls._positional)} positional arguments "
                f"({', '.join(cls._positional) or 'none'}), {len(args)} were given"
            )
        values = dict(cls._fields)
        given: dict[str, Any] = dict(zip(cls._positional, args, strict=False))
        for name, value in kwargs.items():
            if name in given:
                raise TypeError(f"{name_of_class} got two values for '{name}'")
            if name not in values:
                from mxtrain.errors import closest

                near = closest(name, values)
                hint = f"; did you mean '{near}'?" if near else "."
                raise TypeError(
                    f"{name_of_class} has no argument '{name}'{hint} It takes: {', '.join(values)}"
                )
            given[name] = value
        if cls._refuses and given:
            check_ranges(cls, given)
        values |= given
        missing = [name for name, value in values.items() if value is REQUIRED]
        if missing:
            raise TypeError(f"{name_of_class} needs a value for: {', '.join(missing)}")
        return values

    def __repr__(self) -> str:
        shown = [
            f"{name}={getattr(self, name, default)!r}"
            for name, default in self._fields.items()
            if name in self._positional or getattr(self, name, default) is not default
        ]
        return f"{type(self).__name__}({', '.join(shown)})"


def settings(cls: type[Any]) -> tuple[Setting, ...]:
    """Return the constructor parameters of `cls`: declared fields, or those of its ``__init__``.

    >>> from mxtrain.optimizer import SGD
    >>> [setting.name for setting in settings(SGD)][:2]
    ['momentum', 'lazy_update']
    """
    found: dict[str, Setting] = {}
    for base in cls.__mro__:
        init = base.__dict__.get("__init__")
        if init is None or base is object:
            continue
        if base is Declared:
            for setting in _declared(cls):
                found.setdefault(setting.name, setting)
            break
        if not _read_signature(init, found):
            break
    return tuple(found.values())


def check_ranges(cls: type[Declared], values: Mapping[str, Any]) -> None:
    """Raise ValueError for the first number among `values` that is out of its setting's range.

    Values of another type than the setting's are left to what the class says of them.

    >>> from mxtrain.optimizer import SGD
    >>> check_ranges(SGD, {"momentum": 1.5})
    Traceback (most recent call last):
    ValueError: SGD: momentum=1.5 should be >= 0 and < 1
    """
    ranges = _ranges_of(cls)
    for name, value in values.items():
        if name not in ranges or not _is_number(value, ranges[name][0]):
            continue
        bounds = ranges[name][1]
        # Written so that NaN, which compares with nothing, is out of every range.
        if not all(holds(value, bound) for _, holds, bound in bounds):
            wanted = " and ".join(f"{sign} {bound}" for sign, _, bound in bounds)
            raise ValueError(f"{cls.__name__}: {name}={value!r} should be {wanted}")


_COMPARISONS = {"ge": (">=", ge), "gt": (">", gt), "le": ("<=", le), "lt": ("<", lt)}
_Bounds = list[tuple[str, Callable[[Any, Any], bool], Any]]


def _ranges_of(cls: type[Declared]) -> dict[str, tuple[bool, _Bounds]]:
    """Return (whether only whole numbers, bounds) by setting, worked out once per class."""
    if "_ranges" not in cls.__dict__:
        found = {}
        for setting in _declared(cls):
            bounds: _Bounds = [
                (*_COMPARISONS[key], getattr(constraint, key))
                for constraint in setting.constraints
                for key in _COMPARISONS
                if getattr(constraint, key, None) is not None
            ]
            if bounds:
                found[setting.name] = (setting.plain_type is int, bounds)
        cls._ranges = found  # type: ignore[attr-defined]
    ranges: dict[str, tuple[bool, _Bounds]] = cls.__dict__["_ranges"]
    return ranges


def _is_number(value: Any, whole: bool) -> bool:
    if isinstance(value, int):
        return True
    from numbers import Real  # NumPy's scalars are real numbers, though no floats

    return not whole and isinstance(value, Real)


def _declared(cls: type[Declared]) -> list[Setting]:
    """Return the declared settings of a class, whatever its ``__init__`` takes."""
    try:
        hints = get_type_hints(cls, include_extras=True)
    except NameError as error:
        raise TypeError(
            f"{cls.__name__}: the types of its settings cannot be read ({error}); import what they "
            "name at the top of the module"
        ) from error
    return [_setting(name, hints[name], default) for name, default in cls._fields.items()]


def _read_signature(init: Any, found: dict[str, Setting]) -> bool:
    """Add the parameters of an ordinary ``__init__``; True if ``**kwargs`` goes on to the base."""
    hints = get_type_hints(init, include_extras=True)
    open_ended = False
    for parameter in list(inspect.signature(init).parameters.values())[1:]:
        if parameter.kind is parameter.VAR_KEYWORD:
            open_ended = True
        elif parameter.kind is not parameter.VAR_POSITIONAL and parameter.name not in found:
            default = REQUIRED if parameter.default is parameter.empty else parameter.default
            hint = hints.get(parameter.name, Any)
            found[parameter.name] = _setting(parameter.name, hint, default)
    return open_ended


def _setting(name: str, annotation: Any, default: Any) -> Setting:
    _, metadata = _unwrap(annotation)
    meaning = next((m for m in metadata if isinstance(m, str)), "")
    constraints = tuple(m for m in metadata if not isinstance(m, str))
    return Setting(name, annotation, default, meaning, constraints)


def _unwrap(annotation: Any) -> tuple[Any, tuple[Any, ...]]:
    if get_origin(annotation) is Annotated:
        plain, *metadata = get_args(annotation)
        return plain, tuple(metadata)
    return annotation, ()


def _own_fields(cls: type[Any]) -> list[tuple[str, Any]]:
    return list(cls.__dict__.get("_own_fields", {}).items())


def _attribute_of_bases(cls: type[Any], name: str) -> Any:
    for base in cls.__mro__[1:]:
        if name in base.__dict__:
            return base.__dict__[name]
    return None


def _is_class_variable(annotation: Any) -> bool:
    text = annotation if isinstance(annotation, str) else repr(annotation)
    return text.removeprefix("typing.").startswith("ClassVar")
