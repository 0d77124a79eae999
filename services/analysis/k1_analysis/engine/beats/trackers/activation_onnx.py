"""Runs the same network with ONNX Runtime, on machines that have it (`pip install k1-analysis[onnx]`).

The graph is built from the one weights file. It is for accelerators and comparison: on a processor the numpy form
is as fast, and maps are always made with numpy, because their bytes must not depend on installed packages.
"""

import importlib
from typing import Any

import numpy as np

from k1_analysis.engine.audio.framing import Floats
from k1_analysis.engine.beats.trackers.activation import BeatNet, network_input


class OnnxBeatNet:
    """A replacement for `BeatNet` with the same results within rounding.

    Raises:
        ModuleNotFoundError: onnx or onnxruntime is not installed.
    """

    def __init__(self, net: BeatNet) -> None:
        runtime = importlib.import_module("onnxruntime")
        self._session = runtime.InferenceSession(_model(net), providers=runtime.get_available_providers())

    def __call__(self, log_bands: Floats) -> Floats:
        """Return (T, 2): probabilities of a beat and of a downbeat from a (T, 82) log spectrum."""
        columns = np.ascontiguousarray(network_input(log_bands).T[None])
        return np.ascontiguousarray(self._session.run(None, {"input": columns})[0][0].T)


def _model(net: BeatNet) -> bytes:
    """Return the serialised graph: (1, 164, T) in, (1, 2, T) out."""
    onnx = importlib.import_module("onnx")
    helper = onnx.helper
    nodes: list[Any] = []

    def convolution(source: str, name: str, dilation: int = 1) -> str:
        reach = net.weights[f"{name}.weight"].shape[2] // 2 * dilation
        nodes.append(
            helper.make_node(
                "Conv",
                [source, f"{name}.weight", f"{name}.bias"],
                [name],
                dilations=[dilation],
                pads=[reach, reach],
            )
        )
        return name

    def elu(source: str) -> str:
        nodes.append(helper.make_node("Elu", [source], [f"{source}/elu"]))
        return f"{source}/elu"

    x = convolution(elu(convolution("input", "inp")), "p1")
    for layer in range(net.layers):
        inner = convolution(elu(convolution(x, f"d.{layer}", 2**layer)), f"q.{layer}")
        nodes.append(helper.make_node("Add", [x, inner], [f"x.{layer}"]))
        x = f"x.{layer}"
    nodes.append(helper.make_node("Sigmoid", [convolution(elu(x), "out")], ["output"]))
    graph = helper.make_graph(
        nodes,
        "beat_net",
        [helper.make_tensor_value_info("input", onnx.TensorProto.FLOAT, [1, None, None])],
        [helper.make_tensor_value_info("output", onnx.TensorProto.FLOAT, [1, 2, None])],
        [onnx.numpy_helper.from_array(value, name) for name, value in net.weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    return model.SerializeToString()
