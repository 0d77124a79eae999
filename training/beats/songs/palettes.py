"""The tables from which the two splits are made: instruments, synthesiser patches, progressions, drum kits, sound fonts.

Training and evaluation share the style definitions (`styles.py`) but no program number, synthesiser waveform,
syncopation or chord progression, and half of the evaluation songs come from a sound font that is not in the training.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from . import grooves
from .score import Mode
from .theory import Progression, progression
from .training_only.grooves import GROOVES as TRAINING_ONLY_GROOVES

Split = Literal["training", "validation", "evaluation"]
SPLIT_NUMBERS: dict[Split, int] = {"training": 1, "validation": 2, "evaluation": 3}
Waveform = Literal["saw", "supersaw", "pluck", "square", "fm", "organ"]

FLUID_R3 = Path("/usr/share/sounds/sf2/FluidR3_GM.sf2")
MUSESCORE_GENERAL = Path("/usr/share/sounds/sf3/MuseScore_General_Full.sf3")
TIM_GM = Path("/usr/share/sounds/sf2/TimGM6mb.sf2")


@dataclass(frozen=True)
class Ensemble:
    """General MIDI programs (from 0) to draw from for each voice."""

    bass: tuple[int, ...]
    chords: tuple[int, ...]
    arp: tuple[int, ...]
    lead: tuple[int, ...]


@dataclass(frozen=True)
class Palette:
    """Everything that differs between training and evaluation."""

    grooves: grooves.Grooves
    ensembles: dict[str, Ensemble]
    progressions: dict[Mode, tuple[Progression, ...]]
    syncopations: tuple[tuple[float, ...], ...]
    """Onsets in beats of a 4-beat bar; an empty table means drawn at random."""
    kits: tuple[int, ...]
    snares: tuple[int, ...]
    hats: tuple[int, ...]
    percussion: tuple[int, ...]
    waveforms: tuple[Waveform, ...]
    kick_hz: tuple[float, float]
    soundfonts: tuple[Path, ...]
    more_soundfonts: tuple[Path, ...] = ()
    """Further ones, for the styles that only the training has."""


TRAINING = Palette(
    grooves=grooves.TRAINING | TRAINING_ONLY_GROOVES,
    ensembles={
        "band": Ensemble(
            (33, 35, 36, 38), (0, 4, 16, 25, 27, 29, 30), (0, 24, 25, 6), (11, 27, 30, 56, 65, 80)
        ),
        "orchestra": Ensemble((42, 43, 58), (48, 60, 61, 52), (45, 46, 68, 13), (40, 56, 71, 73)),
        "legato": Ensemble((42, 43), (19, 48, 50, 52, 89), (46, 88), (40, 52, 73)),
        "jazz": Ensemble((32,), (0, 16, 26, 61), (0, 11), (11, 56, 65, 71)),
        "quiet": Ensemble((24, 32, 43), (0, 4, 24, 46, 48), (0, 24, 25, 46), (40, 68, 71, 73, 0)),
        "heavy": Ensemble((33, 35, 36), (29, 30), (29, 30, 80), (29, 30, 80, 56)),
        "acoustic": Ensemble((32, 33, 35), (24, 25, 25, 0, 21), (24, 25, 0, 46), (22, 40, 73, 65)),
        "soft": Ensemble((33, 35, 38), (0, 4, 4, 24, 48, 89), (0, 4, 24, 11), (11, 65, 56, 73)),
    },
    progressions={
        "major": tuple(
            map(
                progression,
                (
                    "0M 7M 9m 5M",
                    "9m 5M 0M 7M",
                    "0M 5M 7M 0M",
                    "0M 9m 2m 7M",
                    "2m7 7D 0M7 0M7",
                    "0D 0D 5D 0D",
                    "5M 7M 4m 9m",
                ),
            )
        ),
        "minor": tuple(
            map(
                progression,
                (
                    "0m 8M 3M 10M",
                    "0m 5m 10M 3M",
                    "8M 10M 0m 0m",
                    "0m 0m 5m 7m",
                    "0P 0P 3P 10P",
                    "0m7 5m7 0m7 7m7",
                ),
            )
        ),
    },
    syncopations=(),
    kits=(0, 16, 25, 32, 48),
    snares=(37, 38, 39),
    hats=(42, 51, 70),
    percussion=(47, 54, 56, 63),
    waveforms=("saw", "supersaw", "pluck"),
    kick_hz=(38, 50),
    soundfonts=(FLUID_R3,),
    more_soundfonts=(MUSESCORE_GENERAL,),
)

EVALUATION = Palette(
    grooves=grooves.EVALUATION,
    ensembles={
        "band": Ensemble((34, 37, 39), (1, 5, 18, 26, 28, 62), (7, 12, 15, 26), (22, 53, 57, 66, 81)),
        "orchestra": Ensemble((57, 70), (44, 49, 69), (8, 12, 75), (41, 59, 72, 74)),
        "legato": Ensemble((67, 70), (20, 49, 51, 53, 54), (8, 92), (41, 69, 72)),
        "jazz": Ensemble((34, 39), (1, 5, 17), (12, 5), (57, 59, 64, 66)),
        "quiet": Ensemble((35, 70), (1, 5, 15, 26), (5, 8, 15, 26), (41, 69, 74, 1)),
    },
    progressions={
        "major": tuple(
            map(progression, ("0M 5M 9m 7M", "0M 4m 5M 7M", "5M 0M 7M 0M", "0M7 9m7 2m7 7D", "0M 10M 5M 0M"))
        ),
        "minor": tuple(
            map(
                progression, ("0m 10M 8M 10M", "0m 3M 8M 7M", "5m 0m 7M 0m", "0m 8M 5m 7m", "0m7 10M 5m7 7m7")
            )
        ),
    },
    syncopations=((0, 0.75, 2, 2.75), (0.5, 1.5, 2, 3.5), (0, 1.5, 2.5, 3), (0, 0.75, 1.5, 2.25, 3)),
    kits=(8, 24, 40),
    snares=(38, 40),
    hats=(44, 53, 69),
    percussion=(45, 62, 64, 76),
    waveforms=("square", "fm", "organ"),
    kick_hz=(50, 62),
    soundfonts=(FLUID_R3, TIM_GM),
)

PALETTES: dict[Split, Palette] = {"training": TRAINING, "validation": TRAINING, "evaluation": EVALUATION}
