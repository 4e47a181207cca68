"""Gradient rules: modified gradients of ReLU and max pooling that leave responses unchanged.

Backpropagated gradients are those of the minimized loss: if one is negative, increasing the
activation increases the response.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any, Literal, cast

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, fx, nn

from pipeline.errors import ConfigError, NetworkError, nearest
from pipeline.networks.graph.nodes import operation_name

RELU_RULES = ("plain", "redirected", "guided")
_AT = threading.local()  # the current step of this thread


def at_step(step: int) -> None:
    """Set the current step of this thread's ascent, as some rules only apply to the first steps."""
    _AT.step = step


@dataclass(frozen=True)
class GradientRule:
    """The gradient rule for ReLU and max pooling.

    Attributes:
        relu: ``plain``, ``redirected`` or ``guided``.
        relu_steps: steps for which ReLU is redirected; ``None`` for all.
        pool: ``plain``, or ``smooth``: spread over the window instead of going to its maximum.
    """

    relu: Literal["plain", "redirected", "guided"] = "plain"
    relu_steps: int | None = None
    pool: Literal["plain", "smooth"] = "plain"

    @property
    def is_plain(self) -> bool:
        """Whether gradients are those of the network."""
        return self.relu == "plain" and self.pool == "plain"


PLAIN = GradientRule()


def plain() -> GradientRule:
    """Unmodified gradients."""
    return PLAIN


def redirected_relu(steps: int | None = 16) -> GradientRule:
    """In the first steps, also pass gradients that would raise inactive units (Lucid).

    Args:
        steps: number of steps; ``null`` for all.
    """
    if steps is not None and steps < 1:
        raise ConfigError(f"gradient.steps: {steps} is not positive; use 1 or more, or null")
    return GradientRule("redirected", steps)


def guided() -> GradientRule:
    """Guided backpropagation (Springenberg et al. 2015)."""
    return GradientRule("guided")


def smooth_pooling(relu: str = "plain") -> GradientRule:
    """Spread the gradient of max pooling over its window (Lucid's smooth pooling gradients).

    Args:
        relu: rule for ReLU: ``plain``, ``redirected`` or ``guided``.
    """
    if relu not in RELU_RULES:
        raise ConfigError(
            f"gradient.relu: '{relu}' is not one of {', '.join(RELU_RULES)}"
            f"{nearest(relu, RELU_RULES)}"
        )
    return GradientRule(relu, pool="smooth")  # type: ignore[arg-type]


def check_rule(network: fx.GraphModule, rule: GradientRule) -> None:
    """Raise an error if a rule applies to operations that the network does not have.

    Raises:
        NetworkError: there is no ReLU, or no max pooling, to which the rule could apply.
    """
    nodes = list(network.graph.nodes)
    there = {
        "ReLU": rule.relu == "plain" or any(_is_relu(network, node) for node in nodes),
        "max pooling": rule.pool == "plain" or any(_max_pool(network, node) for node in nodes),
    }
    for what, found in there.items():
        if not found:
            raise NetworkError(
                f"gradient: the network has no {what} to which the rule could apply; use "
                "gradient=plain"
            )


def apply_rule(network: fx.GraphModule, rule: GradientRule) -> None:
    """Apply a gradient rule to the ReLUs and max poolings of a network, in place.

    Args:
        network: network that shares its modules with no other.
        rule: the rule; it has no effect if there are no such operations, as before a first layer.
    """
    for node in network.graph.nodes:
        if rule.relu != "plain" and _is_relu(network, node):
            _call(network, node, RuledReLU(rule.relu, rule.relu_steps))
        pool = _max_pool(network, node)
        if rule.pool == "smooth" and pool is not None:
            _call(network, node, SmoothMaxPool(pool))
    network.graph.lint()
    network.recompile()


def _call(network: fx.GraphModule, node: fx.Node, module: nn.Module) -> None:
    name = f"{node.name}_ruled"
    network.add_submodule(name, module)
    node.op, node.target = "call_module", name
    node.args, node.kwargs = (node.all_input_nodes[0],), {}


def _is_relu(network: fx.GraphModule, node: fx.Node) -> bool:
    if node.op == "call_module":
        return isinstance(network.get_submodule(str(node.target)), nn.ReLU)
    return node.op in ("call_function", "call_method") and operation_name(node) in ("relu", "relu_")


def _max_pool(network: fx.GraphModule, node: fx.Node) -> nn.MaxPool2d | None:
    if node.op == "call_module":
        module = network.get_submodule(str(node.target))
        return module if isinstance(module, nn.MaxPool2d) and not module.return_indices else None
    if node.op != "call_function" or operation_name(node) != "max_pool2d":
        return None
    names = ("input", "kernel_size", "stride", "padding", "dilation", "ceil_mode")
    given = dict(zip(names, node.args, strict=False)) | node.kwargs
    settings: dict[str, Any] = {
        name: given[name] for name in names[1:] if given.get(name) not in (None, [])
    }
    return nn.MaxPool2d(**settings) if not given.get("return_indices") else None


class RuledReLU(nn.Module):
    """ReLU whose gradient follows a rule.

    ``redirected`` also passes gradients that would raise negative inputs, for images whose gradient
    would otherwise vanish entirely (Lucid's ``redirected_relu_grad``); ``guided`` passes only
    gradients that would raise positive inputs (Springenberg et al. 2015).
    """

    def __init__(self, rule: Literal["redirected", "guided"] | str, steps: int | None) -> None:
        super().__init__()
        self.rule, self.steps = rule, steps

    def forward(self, numbers: Float[Tensor, "batch *rest"]) -> Float[Tensor, "batch *rest"]:
        """Return max(0, x)."""
        if self.steps is not None and getattr(_AT, "step", 0) >= self.steps:
            return F.relu(numbers)
        rule = _redirected if self.rule == "redirected" else _guided
        return cast("Tensor", _Ruled.apply(numbers, rule))


class _Ruled(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> Tensor:
        numbers, ctx.rule = arguments
        ctx.save_for_backward(numbers)
        return F.relu(numbers)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (numbers,), (gradient,) = ctx.saved_tensors, gradients
        return ctx.rule(numbers, gradient), None


def _redirected(numbers: Tensor, gradient: Tensor) -> Tensor:
    plain = torch.where(numbers > 0, gradient, 0.0)
    redirected = torch.where((numbers <= 0) & (gradient > 0), 0.0, gradient)
    flows = (plain != 0).flatten(1).any(1)
    return torch.where(flows.view(-1, *[1] * (plain.ndim - 1)), plain, redirected)


def _guided(numbers: Tensor, gradient: Tensor) -> Tensor:
    return torch.where((numbers > 0) & (gradient < 0), gradient, 0.0)


class SmoothMaxPool(nn.Module):
    """Max pooling whose gradient is that of average pooling over the same windows."""

    def __init__(self, pool: nn.MaxPool2d) -> None:
        super().__init__()
        self.pool = pool

    def forward(
        self, maps: Float[Tensor, "batch c height width"]
    ) -> Float[Tensor, "batch c rows columns"]:
        """Return the maximum of every window."""
        maximum = self.pool(maps.detach())
        if not maps.requires_grad:
            return maximum
        mean = self._mean(maps, maximum.shape[2:])
        # The value of the maximum with the gradient of the mean; the sum of the mean and their
        # difference would be rounded.
        return cast("Tensor", _ValueOf.apply(mean, maximum))

    def _mean(self, maps: Tensor, size: torch.Size) -> Tensor:
        """Return means of the windows, with padding counted as zeros."""
        kernel, stride, padding, dilation = (
            (value, value) if isinstance(value, int) else tuple(value)
            for value in (
                self.pool.kernel_size,
                self.pool.stride,
                self.pool.padding,
                self.pool.dilation,
            )
        )
        over = [
            max(0, (size[axis] - 1) * stride[axis] + dilation[axis] * (kernel[axis] - 1) + 1
                - maps.shape[2 + axis] - padding[axis])
            for axis in (0, 1)
        ]  # fmt: skip
        padded = F.pad(maps, (padding[1], over[1], padding[0], over[0]))
        ones = maps.new_full((maps.shape[1], 1, *kernel), 1 / (kernel[0] * kernel[1]))
        mean = F.conv2d(padded, ones, None, stride, 0, dilation, groups=maps.shape[1])
        return mean[:, :, : size[0], : size[1]]


class _ValueOf(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *arguments: Tensor) -> Tensor:  # noqa: ARG004
        return arguments[1].clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:  # noqa: ARG004
        return gradients[0], None
