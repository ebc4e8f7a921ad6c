"""The models that are measured: three sizes of a plain network with made-up weights, and the network of paper 003."""

from __future__ import annotations

import gzip
import warnings
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

WIDTH = 64
CLASSES = 10
SIZES = {"small": (256, 256), "medium": (1100, 1100, 1100), "large": (2896, 2896, 2896, 2896)}
"""Widths of the hidden layers: 0.3, 10 and 100 MB of weights."""
MNIST = Path(__file__).parents[2].parent / "shared" / "data" / "mnist"
PARAMETERS = 317_066  # of the network in paper 003, table 1


def make_network(hidden: tuple[int, ...], *, seed: int = 1) -> bytes:
    """Return a network as ONNX: rows of `WIDTH` float32 in, `CLASSES` scores out; weights from a seed."""
    from onnx import TensorProto, checker, helper, numpy_helper

    random = np.random.default_rng(seed)
    nodes, weights, name = [], [], "rows"
    widths = (WIDTH, *hidden, CLASSES)
    for layer, (before, after) in enumerate(pairwise(widths)):
        values = (random.standard_normal((before, after)) / np.sqrt(before)).astype(np.float32)
        weights.append(numpy_helper.from_array(values, f"weights{layer}"))
        last = layer == len(widths) - 2
        output = "scores" if last else f"sum{layer}"
        nodes.append(helper.make_node("MatMul", [name, f"weights{layer}"], [output]))
        if not last:
            nodes.append(helper.make_node("Relu", [output], [f"hidden{layer}"]))
            name = f"hidden{layer}"
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("rows", TensorProto.FLOAT, ["batch", WIDTH])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", CLASSES])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    checker.check_model(model)
    content: bytes = model.SerializeToString()
    return content


def read_mnist(images: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return test images of MNIST, uint8 of shape (images, 1, 28, 28), and their labels.

    Raises:
        FileNotFoundError: the data set is not beside the checkout.
    """
    pixels = _idx(MNIST / "t10k-images-idx3-ubyte.gz", 16).reshape(-1, 1, 28, 28)[:images]
    labels = _idx(MNIST / "t10k-labels-idx1-ubyte.gz", 8)[:images]
    return pixels, labels.astype(np.int64)


def train_paper_network(steps: int = 400, batch: int = 64) -> Any:
    """Return the network of paper 003 (317,066 parameters), trained for a moment on MNIST, as a PyTorch module.

    It takes images as they are, uint8, and scales them itself: a request is then a quarter of its size in float32.
    """
    import torch
    from torch import nn

    class Scale(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images.to(torch.float32) / 255

    torch.manual_seed(1)
    network = nn.Sequential(
        Scale(),
        nn.Conv2d(1, 32, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(1024, 256),
        nn.ReLU(),
        nn.Linear(256, CLASSES),
    )
    if sum(p.numel() for p in network.parameters()) != PARAMETERS:
        raise RuntimeError("this is not the network of the paper")
    pixels = _idx(MNIST / "train-images-idx3-ubyte.gz", 16).reshape(-1, 1, 28, 28)
    labels = _idx(MNIST / "train-labels-idx1-ubyte.gz", 8)
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)
    order = np.random.default_rng(1).permutation(len(labels))
    for step in range(steps):
        rows = order[step * batch : (step + 1) * batch]
        loss = nn.functional.cross_entropy(
            network(torch.from_numpy(pixels[rows])), torch.from_numpy(labels[rows].astype(np.int64))
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return network.eval()


def quietly_pushed(*arguments: Any, **options: Any) -> Any:
    """Push a model; what the exporters say meanwhile is of no interest here."""
    from skerry.serve import push

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return push(*arguments, **options)


def _idx(path: Path, offset: int) -> np.ndarray[Any, Any]:
    return np.frombuffer(gzip.decompress(path.read_bytes()), dtype=np.uint8, offset=offset)
