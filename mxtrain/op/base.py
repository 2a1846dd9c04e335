"""What an operator is: attributes, names, a shape rule, forward and backward."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from mxtrain.errors import MXNetError
from mxtrain.op.attribute import parse_attributes
from mxtrain.op.shape import Shape, Shapes, merge
from mxtrain.registry import Registry
from mxtrain.settings import Declared

if TYPE_CHECKING:
    from mxtrain.op.call import Call

DTypes = list[str | None]
C = TypeVar("C", bound=type[Any])


class Operator(Declared):
    """One operator with its attributes, as a node of a graph uses it.

    A subclass declares its attributes as annotated fields, like every declared class, and
    describes itself with the class variables and methods below. It holds no arrays: `forward` and
    `backward` add lines to a plan through a `Call`.
    """

    # Names of the inputs. Missing ones become variables `<node>_<name>`.
    argument_names: ClassVar[tuple[str, ...]] = ("data",)
    # Inputs that the operator changes itself (moving averages); they follow the arguments.
    auxiliary_names: ClassVar[tuple[str, ...]] = ()
    output_names: ClassVar[tuple[str, ...]] = ("output",)
    # Inputs whose gradient is zero by definition (labels, indices).
    no_gradient: ClassVar[tuple[str, ...]] = ()
    # Whether any number of inputs is taken (`arg0`, `arg1`, ...), counted by `num_args`.
    variadic: ClassVar[bool] = False
    # Whether `mxtrain fit` may report a loss for this operator; see `loss`.
    is_loss: ClassVar[bool] = False
    # Initializer texts for automatically created inputs, by input name.
    default_init: ClassVar[Mapping[str, str]] = {}
    # The registered spelling, set by `register`.
    op_name: ClassVar[str] = ""

    @property
    def uses_head(self) -> bool:
        """Whether backward reads the gradient of the outputs; losses start it themselves."""
        return True

    def arguments(self) -> tuple[str, ...]:
        """Return the names of the inputs, which may depend on the attributes."""
        return self.argument_names

    def auxiliaries(self) -> tuple[str, ...]:
        """Return the names of the auxiliary states."""
        return self.auxiliary_names

    def inputs(self) -> tuple[str, ...]:
        """Return arguments and auxiliary states, in the order of a node's inputs."""
        return self.arguments() + self.auxiliaries()

    def outputs(self) -> tuple[str, ...]:
        """Return the names of the visible outputs."""
        return self.output_names

    def count_outputs(self) -> int:
        """Return the number of visible outputs."""
        return len(self.outputs())

    def hidden_outputs(self) -> int:
        """Return how many further outputs MXNet's files count for this operator."""
        return 0

    def input_inits(self) -> Mapping[str, str]:
        """Return the initializer texts of inputs that are created automatically."""
        return self.default_init

    def infer_shape(self, inputs: Shapes, outputs: Shapes) -> tuple[Shapes, Shapes]:
        """Return what is known of the shapes after applying this operator's rule once.

        A shape is a tuple with 0 for an unknown axis, or None when even the rank is unknown. The
        caller merges the result with what it knew and repeats until nothing changes, so a rule may
        return only what it is sure of. The default: all inputs and outputs have one shape.
        """
        common: Shape = None
        for shape in (*inputs, *outputs):
            common = merge(common, shape)
        return [common] * len(inputs), [common] * len(outputs)

    def infer_type(self, inputs: DTypes, outputs: DTypes) -> tuple[DTypes, DTypes]:
        """Return what is known of the element types. The default: one type for all."""
        known = next((dtype for dtype in (*inputs, *outputs) if dtype is not None), None)
        return [known] * len(inputs), [known] * len(outputs)

    def view(self, inputs: list[Any], shapes: list[tuple[int, ...]]) -> list[Any] | None:
        """Return the outputs as C-contiguous views of the input buffers, or None to get new ones.

        An operator that only looks at its input in another shape costs nothing forward.
        """
        return None

    def forward(self, call: Call) -> None:
        """Add the lines that compute ``call.outputs`` from ``call.inputs``."""
        raise NotImplementedError(f"operator {self.op_name} defines no forward")

    def backward(self, call: Call) -> None:
        """Add the lines that compute ``call.grads`` from ``call.heads``."""
        raise NotImplementedError(f"operator {self.op_name} defines no backward")

    def loss(self, xp: Any, output: Any, label: Any) -> tuple[float, int]:
        """Return (sum of the loss over the rows, number of rows counted); losses only.

        `output` and `label` are arrays of any number of rows.
        """
        raise NotImplementedError(f"operator {self.op_name} is not a loss")


registry: Registry[Operator] = Registry("operator", unknown=MXNetError, exact=True)


def register(name: str = "", aliases: tuple[str, ...] = ()) -> Callable[[C], C]:
    """Return a decorator that enters an operator class under `name` (its own by default)."""

    def enter(cls: C) -> C:
        cls.op_name = name or cls.__name__
        registry.register(cls, cls.op_name)
        registry.alias(*aliases)(cls)
        return cls

    return enter


def create(name: str, texts: Mapping[str, str]) -> Operator:
    """Make the operator `name` from its attribute texts (MXNetError where they do not fit)."""
    cls = registry.get(name)
    return cls(**parse_attributes(cls, name, texts))
