"""Converts BeatNet's model 1 from PyTorch's format to the .npz file that the engine reads.

    python -m training.beatnet.convert model_1_weights.pt beatnet_model_1.npz

The file lies in the wheel of BeatNet 1.1.3 (`pip download BeatNet==1.1.3 --no-deps`), as
BeatNet/models/model_1_weights.pt. Licence and credit: MODEL_CARD.md beside this module.
"""

import argparse
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

SHA256 = "619091bc317ca3e83b45591d46f6de3d5a41588bcb39fe9fe7be30cffa6aca84"
"""Of model_1_weights.pt in the wheel of BeatNet 1.1.3."""
NAMES = {
    "conv.weight": "conv1.weight",
    "conv.bias": "conv1.bias",
    "dense.weight": "linear0.weight",
    "dense.bias": "linear0.bias",
    "lstm.0.input": "lstm.weight_ih_l0",
    "lstm.0.recurrent": "lstm.weight_hh_l0",
    "lstm.1.input": "lstm.weight_ih_l1",
    "lstm.1.recurrent": "lstm.weight_hh_l1",
    "out.weight": "linear.weight",
    "out.bias": "linear.bias",
}
"""Name in the .npz file: name in the original."""
Array = NDArray[np.float32]


def convert(original: bytes, state: dict[str, Any]) -> dict[str, Array]:
    """Return the parameters; each layer's two bias vectors are summed.

    Raises:
        ValueError: `original`, the bytes of the file, is not model 1 of BeatNet 1.1.3.
    """
    if sha256(original).hexdigest() != SHA256:
        raise ValueError("This is not model_1_weights.pt of BeatNet 1.1.3.")
    arrays = {name: np.asarray(state[old].numpy(), np.float32) for name, old in NAMES.items()}
    arrays["conv.weight"] = arrays["conv.weight"][:, 0]
    for layer in range(2):
        biases = state[f"lstm.bias_ih_l{layer}"] + state[f"lstm.bias_hh_l{layer}"]
        arrays[f"lstm.{layer}.bias"] = np.asarray(biases.numpy(), np.float32)
    return arrays


def main() -> None:
    """Convert the file named on the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("original", type=Path)
    parser.add_argument("converted", type=Path)
    options = parser.parse_args()
    state = torch.load(options.original, map_location="cpu", weights_only=True)
    arrays: dict[str, Any] = dict(convert(options.original.read_bytes(), state))
    np.savez(options.converted, **arrays)
    print(f"{options.converted}: {options.converted.stat().st_size} bytes")


if __name__ == "__main__":
    main()
