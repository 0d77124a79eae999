"""Computes the activation of the tests' signal with the original network and madmom's features.

    python -m training.beatnet.reference BeatNet/ services/analysis/tests/engine/beatnet_reference.npz

The first argument is the folder `BeatNet` of the unpacked wheel. README.md says what has to be installed.
"""

import argparse
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import soxr
import torch
from madmom.audio.signal import FramedSignalProcessor, SignalProcessor
from madmom.audio.spectrogram import (
    FilteredSpectrogramProcessor,
    LogarithmicSpectrogramProcessor,
    SpectrogramDifferenceProcessor,
)
from madmom.audio.stft import ShortTimeFourierTransformProcessor
from madmom.processors import SequentialProcessor
from numpy.typing import NDArray

TESTS = Path(__file__).parents[2] / "services/analysis/tests/engine/test_beatnet.py"
SAMPLE_RATE_HZ = 22_050


def features(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (frames, 272) as BeatNet/log_spect.py computes them from samples at 22.05 kHz."""
    pipeline = SequentialProcessor(
        [
            SignalProcessor(num_channels=1, sample_rate=SAMPLE_RATE_HZ),
            FramedSignalProcessor(frame_size=1411, hop_size=441),
            ShortTimeFourierTransformProcessor(),
            FilteredSpectrogramProcessor(num_bands=24, fmin=30, fmax=17000, norm_filters=True),
            LogarithmicSpectrogramProcessor(mul=1, add=1),
            SpectrogramDifferenceProcessor(diff_ratio=0.5, positive_diffs=True, stack_diffs=np.hstack),
        ]
    )
    return np.asarray(pipeline(samples), np.float32)


def classes(package: Path, rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (frames, 3): the original's probabilities of beat, downbeat and neither."""
    model: Any = runpy.run_path(str(package / "model.py"))["BDA"](272, 150, 2, "cpu")
    model.load_state_dict(torch.load(package / "models/model_1_weights.pt", weights_only=True))
    model.eval()
    with torch.no_grad():
        output = model(torch.from_numpy(rows)[None])[0]
    return np.asarray(torch.softmax(output, dim=0).T.numpy(), np.float32)


def main() -> None:
    """Write the file named on the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("package", type=Path)
    parser.add_argument("reference", type=Path)
    options = parser.parse_args()
    signal = runpy.run_path(str(TESTS))["reference_signal"]()
    rows = features(soxr.resample(signal, 44_100, SAMPLE_RATE_HZ, quality="HQ"))
    np.savez_compressed(options.reference, classes=classes(options.package, rows))


if __name__ == "__main__":
    main()
