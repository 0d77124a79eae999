"""Chooses one of several beat trackers: the member that the others, the network and the bars support most.

Two measures of agreement have different uses. The F-measure sees tempo and phase, and so it takes part in the choice.
The information gain sees only that two members follow a common pulse, and so it tells whether there is one at all
(Holzapfel, Davies, Zapata, Oliveira and Gouyon, "Selective sampling for beat tracking evaluation", TASLP 2012).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np

from k1_analysis.engine.audio.framing import Floats, Seconds
from k1_analysis.engine.beats.agreement.scores import f_measure, information_gain, skip_start
from k1_analysis.engine.beats.interpretations import interpretation_score

MemberName = Literal["net", "onsets", "degara", "multifeature"]

NET_BONUS = 0.2
"""Added to the score of the network's beats: it is the best single tracker on annotated songs."""
ACTIVATION_WEIGHT = 0.7
"""Weight of `interpretation_score` against the mean F-measure with the other members. Weight and bonus were chosen on 144
generated and ten real songs; a bonus of 0.2 to 0.4 gives the same F within .002."""
BARS_WEIGHT = 0.4
"""Weight of how well a member's beats make bars, `Bars.score`. From 0.2 to 0.6 F is the same within .002 on the songs
above, and within .01 on 97 pieces that people composed."""
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
    """Mean information gain of each voting member against the others, 0..1."""
    pairs: dict[str, float]
    """Information gain of each pair, by `first~second`."""
    f_measure: dict[MemberName, float]
    """Mean F-measure of each voting member against the others, 0..1."""

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


def choose_member(
    beats: dict[MemberName, Seconds], activation: Floats, bars: Mapping[MemberName, float]
) -> CommitteeResult:
    """Return the best member; members with fewer than four beats do not vote.

    Args:
        beats: of each member, rising times in seconds.
        activation: (T,) the network's probability of a beat.
        bars: how well the beats of a member make bars; 0 for a member that is not there.
    """
    voters: list[MemberName] = [name for name, times in beats.items() if len(times) >= _MIN_BEATS]
    later = {name: skip_start(beats[name]) for name in voters}
    pairs: dict[str, float] = {}
    gains: dict[MemberName, list[float]] = {name: [] for name in voters}
    matches: dict[MemberName, list[float]] = {name: [] for name in voters}
    for first, second in combinations(voters, 2):
        gain = information_gain(later[first], later[second])
        match = f_measure(later[first], later[second])
        pairs[f"{first}~{second}"] = gain
        for name in (first, second):
            gains[name].append(gain)
            matches[name].append(match)
    agreement = _means(matches)

    def score(name: MemberName) -> float:
        supported = ACTIVATION_WEIGHT * interpretation_score(beats[name], activation)
        supported += BARS_WEIGHT * bars.get(name, 0.0)
        return agreement[name] + supported + (NET_BONUS if name == "net" else 0.0)

    return CommitteeResult(max(voters, key=score, default=None), beats, _means(gains), pairs, agreement)


def _means(values: dict[MemberName, list[float]]) -> dict[MemberName, float]:
    return {name: float(np.mean(each)) if each else 0.0 for name, each in values.items()}
