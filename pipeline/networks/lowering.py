"""Lowering: the same network, computed faster.

Each function rewrites a cropped network in place and keeps its values to float32 rounding: batch
norm is folded into the preceding convolution, ReLU moves after max pooling (where there are fewer
positions), ReLU works in place if nothing else reads its input, weights are channels-last, the
gradient of the first convolution is computed in blocks of pixels, and convolutions with a narrow
output are computed as one product.
"""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from pipeline.networks.graph.nodes import operation_name
from pipeline.networks.graph.opaque import Opaque

BLOCK_CHANNELS = 12  # number of channels of a pixel block from which a convolution is fast
NARROW = (
    5  # largest number of output columns for which a matrix product is faster than a convolution
)


def lower(network: fx.GraphModule) -> fx.GraphModule:
    """Rewrite a network whose modules are its own; weights are copied where they change.

    What is opaque is the user's network itself, which stays as it is.
    """
    _fold_batch_norms(network)
    _drop_identities(network)
    _pool_before_relu(network)
    _replace_convolutions(network)
    _relu_in_place(network)
    network.graph.lint()
    network.delete_all_unused_submodules()
    network.recompile()
    opaque = [module for module in network.modules() if isinstance(module, Opaque)]
    theirs = {part for module in opaque for part in module.modules()}
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module not in theirs:
            module.weight = nn.Parameter(_last(module.weight), requires_grad=False)
    return network


def _module(network: fx.GraphModule, node: fx.Node) -> nn.Module | None:
    return network.get_submodule(str(node.target)) if node.op == "call_module" else None


def _sole_source(node: fx.Node) -> fx.Node | None:
    """Return the only input of ``node``, if nothing else reads it."""
    sources = node.all_input_nodes
    return sources[0] if len(sources) == 1 and len(sources[0].users) == 1 else None


def _replace(network: fx.GraphModule, node: fx.Node, module: nn.Module) -> None:
    """Make a node call another module, under a new name."""
    name = f"{node.name}_lowered"
    network.add_submodule(name, module)
    node.target = name


def _skip(node: fx.Node) -> None:
    node.replace_all_uses_with(node.all_input_nodes[0])
    node.graph.erase_node(node)


def _fold_batch_norms(network: fx.GraphModule) -> None:
    for node in list(network.graph.nodes):
        norm, source = _module(network, node), _sole_source(node)
        conv = _module(network, source) if source is not None else None
        folds = isinstance(norm, nn.BatchNorm2d) and norm.running_mean is not None
        if source is not None and folds and isinstance(conv, nn.Conv2d):
            fused = fuse_conv_bn_eval(conv.eval(), cast("nn.BatchNorm2d", norm))
            _replace(network, source, fused.requires_grad_(False))
            _skip(node)


def _drop_identities(network: fx.GraphModule) -> None:
    for node in list(network.graph.nodes):
        if isinstance(_module(network, node), nn.Identity | nn.Dropout | nn.Dropout2d):
            _skip(node)


def _is_relu(network: fx.GraphModule, node: fx.Node | None) -> bool:
    if node is None or not node.all_input_nodes:
        return False
    named = node.op in ("call_function", "call_method") and operation_name(node) == "relu"
    return named or isinstance(_module(network, node), nn.ReLU)


def _pool_before_relu(network: fx.GraphModule) -> None:
    for pool in list(network.graph.nodes):
        relu = _sole_source(pool)
        if relu is None or not _is_relu(network, relu):
            continue
        module = _module(network, pool)
        if isinstance(module, nn.MaxPool2d) and not module.return_indices:
            _skip(relu)
            with network.graph.inserting_after(pool):
                after = network.graph.call_function(F.relu, (pool,))
            pool.replace_all_uses_with(after, lambda user, after=after: user is not after)


def _replace_convolutions(network: fx.GraphModule) -> None:
    for node in network.graph.nodes:
        conv = _module(network, node)
        if isinstance(conv, nn.Conv2d) and conv.padding == (0, 0) and conv.groups == 1:
            square = conv.stride[0] == conv.stride[1] and conv.dilation == (1, 1)
            if node.all_input_nodes[0].op == "placeholder" and square:
                _replace(network, node, ImageConvolution(conv))
            elif node.meta.get("size", (0, NARROW + 1))[1] <= NARROW and conv.kernel_size != (1, 1):
                _replace(network, node, NarrowConvolution(conv))


class NarrowConvolution(nn.Module):
    """A convolution computed as one matrix product if its output has few columns.

    Convolution kernels of CPUs work along rows and waste time at the ends of short ones; for a 3 x
    3 output, arranging the windows as columns of a matrix is twice as fast. The product is itself a
    convolution, with a kernel of one, because that is faster than a call of BLAS.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        weight = conv.weight.detach()
        self.stride, self.dilation = conv.stride, conv.dilation
        self.kernel = tuple(weight.shape[2:])
        self.weight, self.bias = nn.Buffer(_last(weight)), conv.bias
        columns = weight.permute(0, 2, 3, 1).reshape(len(weight), -1, 1, 1)
        self.columns = nn.Buffer(_last(columns))
        self.back = nn.Buffer(_last(columns.transpose(0, 1)))

    def forward(self, maps: Float[Tensor, "batch c height width"]) -> Tensor:
        """Return the convolution's output."""
        windows = zip(maps.shape[2:], self.kernel, self.stride, self.dilation, strict=True)
        size = tuple((n - d * (k - 1) - 1) // s + 1 for n, k, s, d in windows)
        if maps.is_cuda:
            return F.conv2d(maps, self.weight, self.bias, self.stride, 0, self.dilation)
        geometry = (size, self.kernel, self.stride, self.dilation)
        arguments = (maps, self.columns, self.bias, self.back, geometry)
        return cast("Tensor", _UnfoldedProduct.apply(*arguments))


class _UnfoldedProduct(torch.autograd.Function):
    @staticmethod
    def forward(*arguments: Any) -> Tensor:
        maps, columns, bias, _, (size, kernel, stride, dilation) = arguments
        maps = _last(maps)
        batch, channels = maps.shape[:2]
        of_image, of_channel, of_row, of_column = maps.stride()
        steps = (of_row * stride[0], of_column * stride[1])
        taps = (of_row * dilation[0], of_column * dilation[1])
        unfolded = maps.as_strided(
            (batch, *size, *kernel, channels), (of_image, *steps, *taps, of_channel)
        )
        seen = unfolded.reshape(1, batch, size[0] * size[1], -1).permute(0, 3, 1, 2)
        product = F.conv2d(seen, columns, bias)
        return product.permute(0, 2, 3, 1).reshape(batch, *size, -1).permute(0, 3, 1, 2)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:  # noqa: ARG004
        maps, _, _, back, geometry = inputs
        ctx.save_for_backward(back)
        ctx.shape, ctx.geometry = maps.shape, geometry

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (back,) = ctx.saved_tensors
        size, kernel, stride, dilation = ctx.geometry
        batch, channels, height, width = ctx.shape
        rows = _last(gradients[0]).permute(0, 2, 3, 1).reshape(1, batch, size[0] * size[1], -1)
        product = F.conv2d(rows.permute(0, 3, 1, 2), back).permute(0, 2, 3, 1)
        seen = product.reshape(batch, *size, *kernel, channels)
        folded = seen.new_zeros(batch, height, width, channels)
        for a in range(kernel[0]):
            for b in range(kernel[1]):
                top, left = a * dilation[0], b * dilation[1]
                below = folded[:, top : top + stride[0] * (size[0] - 1) + 1 : stride[0]]
                below[:, :, left : left + stride[1] * (size[1] - 1) + 1 : stride[1]] += seen[
                    :, :, :, a, b
                ]
        return folded.permute(0, 3, 1, 2), None, None, None, None


def _last(tensor: Tensor) -> Tensor:
    return tensor.contiguous(memory_format=torch.channels_last)


class ImageConvolution(nn.Module):
    """A convolution of images whose gradient is computed in square blocks of pixels.

    Images have too few channels for the gradient of a convolution to run fast. All pixels of a
    block see the same few positions of the output, so that the gradient is a convolution from the
    output to ``side ** 2`` times as many channels, which are then sorted into pixels: on a CPU five
    times as fast for an 11 x 11 kernel of stride 4.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.stride = int(conv.stride[0])
        weight = _last(conv.weight.detach())
        self.repeat = _repeat(self.stride, conv.in_channels)
        self.weight, self.bias = nn.Buffer(weight), conv.bias
        self.blocks = nn.Buffer(_block_weights(weight, self.stride, self.repeat))

    def forward(self, images: Float[Tensor, "batch c height width"]) -> Tensor:
        """Return the convolution's output."""
        arguments = (images, self.weight, self.bias, self.blocks, self.stride, self.repeat)
        return cast("Tensor", _BlockedGradient.apply(*arguments))


# The outputs of these are not needed for their own gradient.
_FREE_OUTPUTS = (nn.Conv2d, ImageConvolution, nn.BatchNorm2d, nn.MaxPool2d, nn.AvgPool2d)


def _relu_in_place(network: fx.GraphModule) -> None:
    for node in network.graph.nodes:
        source = _sole_source(node)
        if source is None or not _is_relu(network, node):
            continue
        if isinstance(_module(network, source), _FREE_OUTPUTS):
            node.op, node.target = "call_function", F.relu
            node.args, node.kwargs = (source,), {"inplace": True}


class _BlockedGradient(torch.autograd.Function):
    @staticmethod
    def forward(*arguments: Any) -> Tensor:
        images, weight, bias, _, stride, _ = arguments
        return F.conv2d(images, weight, bias, stride)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:  # noqa: ARG004
        images, weight, _, blocks, stride, repeat = inputs
        ctx.save_for_backward(blocks)
        ctx.geometry = tuple(images.shape), weight.shape[2:], stride, repeat

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (blocks,) = ctx.saved_tensors
        (batch, channels, height, width), kernel, stride, repeat = ctx.geometry
        (gradient,) = gradients
        side = stride * repeat
        rows, columns = -(-height // side), -(-width // side)
        before = [(k - 1) // stride for k in kernel]
        # Blocks beyond the last output see nothing; equal padding, if sufficient, needs no copy.
        wanted = [
            repeat * (count - 1) + blocks.shape[2 + axis] - before[axis] - gradient.shape[2 + axis]
            for axis, count in enumerate((rows, columns))
        ]
        extra = [max(0, after - first) for after, first in zip(wanted, before, strict=True)]
        if any(extra):
            gradient = F.pad(gradient, (0, extra[1], 0, extra[0]))
        found = F.conv2d(gradient, blocks, None, repeat, before)[:, :, :rows, :columns]
        pixels = found.permute(0, 2, 3, 1).reshape(batch, rows, columns, side, side, channels)
        pixels = pixels.permute(0, 1, 3, 2, 4, 5).reshape(
            batch, rows * side, columns * side, channels
        )
        return pixels.permute(0, 3, 1, 2)[:, :, :height, :width], None, None, None, None, None


def _repeat(stride: int, channels: int) -> int:
    """Return the width of a block in strides: the smallest that gives it enough channels."""
    repeat = 1
    while channels * (stride * repeat) ** 2 < BLOCK_CHANNELS:
        repeat += 1
    return repeat


def _block_weights(
    weight: Float[Tensor, "outputs c height width"], stride: int, repeat: int
) -> Float[Tensor, "pixels outputs rows columns"]:
    """Return the weights from the output's gradient to blocks of ``stride * repeat`` pixels a side.

    Pixel i of block Y is tap t of output row r where i + side * Y = stride * r + t. With the rows
    of a block counted from r = repeat * Y - (kernel - 1) // stride on, row a therefore weighs pixel
    i by tap i + stride * ((kernel - 1) // stride - a).
    """
    outputs, channels, height, width = weight.shape
    side = stride * repeat
    before = [(k - 1) // stride for k in (height, width)]
    blocks = weight.new_zeros(side, side, channels, outputs, before[0] + repeat, before[1] + repeat)
    for i in range(side):
        for j in range(side):
            for a in range(before[0] + repeat):
                for b in range(before[1] + repeat):
                    y, x = i + stride * (before[0] - a), j + stride * (before[1] - b)
                    if 0 <= y < height and 0 <= x < width:
                        blocks[i, j, :, :, a, b] = weight[:, :, y, x].T
    return _last(blocks.flatten(0, 2))
