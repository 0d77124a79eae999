"""Chooses one of several beat trackers: the member with which the others agree most.

Method: Holzapfel, Davies, Zapata, Oliveira and Gouyon, "Selective sampling for beat tracking evaluation",
TASLP 2012: mean information gain against the other members.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from k1_analysis.engine.audio.framing import Seconds
from k1_analysis.engine.beats.agreement.scores import information_gain, skip_start

MemberName = Literal["net", "onsets", "degara", "multifeature"]

NET_BONUS = 0.2
"""Added to the network's mean gain: it is the best single tracker on annotated songs."""
_MIN_BEATS = 4
_FAMILIES: dict[MemberName, str] = {
    "net": "learned",
    "onsets": "onset function",
    "degara": "essentia",
    "multifeature": "essentia",
}


@dataclass(frozen=True, slots=True)
class CommitteeResult:
    """The chosen member, and how far the members agree with each other."""

    chosen: MemberName | None
    """None when no member found a beat."""
    beats: dict[MemberName, Seconds]
    gain: dict[MemberName, float]
    """Mean information gain of each voting member against the others, 0..1, without the bonus."""
    pairs: dict[str, float]
    """Information gain of each pair, by `first~second`."""

    @property
    def agreement(self) -> float:
        """Return the mean gain of the chosen member, 0..1: how strongly the other members support it."""
        return 0.0 if self.chosen is None else self.gain[self.chosen]

    @property
    def independent(self) -> MemberName | None:
        """Return the strongest member of another family than the chosen one, which shares no method with it."""
        if self.chosen is None:
            return None
        family = _FAMILIES[self.chosen]
        return max(
            (name for name in self.gain if _FAMILIES[name] != family), key=self.gain.__getitem__, default=None
        )

    @property
    def other_methods(self) -> list[list[Seconds]]:
        """Return the beats of the voting members of each other family than the chosen one's, family by family."""
        families: dict[str, list[Seconds]] = {}
        for name in self.gain:
            families.setdefault(_FAMILIES[name], []).append(self.beats[name])
        return [
            times for family, times in families.items() if self.chosen and family != _FAMILIES[self.chosen]
        ]


def choose_member(beats: dict[MemberName, Seconds]) -> CommitteeResult:
    """Return the member with the greatest mean information gain; members with fewer than four beats do not vote."""
    voters: list[MemberName] = [name for name, times in beats.items() if len(times) >= _MIN_BEATS]
    pairs: dict[str, float] = {}
    gains: dict[MemberName, list[float]] = {name: [] for name in voters}
    for index, first in enumerate(voters):
        for second in voters[index + 1 :]:
            gain = information_gain(skip_start(beats[first]), skip_start(beats[second]))
            pairs[f"{first}~{second}"] = gain
            gains[first].append(gain)
            gains[second].append(gain)
    mean: dict[MemberName, float] = {
        name: float(np.mean(values)) if values else 0.0 for name, values in gains.items()
    }
    chosen = max(voters, key=lambda name: mean[name] + (NET_BONUS if name == "net" else 0.0), default=None)
    return CommitteeResult(chosen, beats, mean, pairs)
