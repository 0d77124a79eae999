"""Drum patterns with their meter, tempo range and swing: one bar each, one character a step.

`X` accented, `x` plain, `o` ghost, `.` silent; a lane's length divides the bar evenly. The training and the
evaluation tables share no pattern, except what defines a style (four kicks in house).
"""

from dataclasses import dataclass
from typing import Literal, get_args

Lane = Literal["kick", "snare", "hat", "perc"]
LANES: tuple[Lane, ...] = get_args(Lane)


@dataclass(frozen=True)
class Feel:
    """Range of swing ratios and the length in beats of the steps that swing."""

    low: float
    high: float
    unit: float = 0.5


STRAIGHT = Feel(0.5, 0.5)
JAZZ = Feel(0.58, 0.68)
SHUFFLE = Feel(0.62, 0.68)
SIXTEENTHS = Feel(0.52, 0.62, unit=0.25)


@dataclass(frozen=True)
class Groove:
    """A drum pattern and the tempi (BPM) at which people play it."""

    name: str
    tempi: tuple[float, float]
    kick: str
    snare: str
    hat: str
    perc: str = ""
    meter: str = "4/4"
    feel: Feel = STRAIGHT

    def lane(self, lane: Lane) -> str:
        patterns = {"kick": self.kick, "snare": self.snare, "hat": self.hat, "perc": self.perc}
        return patterns[lane]


Grooves = dict[str, tuple[Groove, ...]]

TRAINING: Grooves = {
    "edm": (
        Groove("house", (116, 130), "X...X...X...X...", "....x.......x...", "..x...x...x...x."),
        Groove(
            "deep house",
            (112, 124),
            "X...X...X...X...",
            "....x.......x..o",
            "o.x.o.x.o.x.o.xo",
            feel=SIXTEENTHS,
        ),
        Groove("techno", (125, 146), "X...X...X...X...", "", "xoXoxoXoxoXoxoXo", "...x..x....x..x."),
        Groove("trance", (132, 142), "X...X...X...X...", "....x.......x...", "o.X.o.X.o.X.o.X."),
        Groove("hard", (146, 156), "X...X...X...X...", "....X.......X...", "..X...X...X...X."),
        Groove(
            "drum and bass",
            (166, 180),
            "X.........X.....",
            "....X.......X...",
            "x.x.x.x.x.x.x.x.",
            ".......o.o.....o",
        ),
        Groove("halftime bass", (138, 146), "X......x........", "........X.......", "x.x.x.xxx.x.x.x."),
        Groove("breaks", (120, 138), "X..x......x.....", "....X.......X..o", "x.x.x.x.x.x.x.x."),
        Groove("electro", (118, 132), "X.....x...x.....", "....X.......X...", "xxxxxxxxxxxxxxxx"),
        Groove("ambient", (84, 110), "X.......x.......", "", "..x...x...x...x."),
        Groove("slow four", (96, 114), "X...X...X...X...", "....x.......x...", "x.x.x.x.x.x.x.x."),
    ),
    "rock": (
        Groove("backbeat", (88, 150), "X.......x.x.....", "....X.......X...", "X.x.X.x.X.x.X.x."),
        Groove("driving", (120, 168), "X.....x.x.......", "....X.......X...", "X.x.X.x.X.x.X.x."),
        Groove("punk", (150, 205), "X..x..x.X..x..x.", "....X.......X...", "X...X...X...X..."),
        Groove("half time", (120, 160), "X.....x.........", "........X.......", "X...X...X...X..."),
        Groove("double kick", (140, 190), "xxxxxxxxxxxxxxxx", "....X.......X...", "X...X...X...X..."),
        Groove("tom verse", (96, 136), "X...x...X...x...", "............X...", "", "x.x.x.x.x.x.xxx."),
    ),
    "pop": (
        Groove("ballad", (58, 84), "X.....x...x.....", "....x.......x...", "x.o.x.o.x.o.x.o."),
        Groove(
            "radio", (90, 128), "X.....x.x.......", "....X.......X...", "x.x.x.x.x.x.x.x.", "..o...o...o...o."
        ),
        Groove("disco", (108, 128), "X...X...X...X...", "....X.......X...", "x.X.x.X.x.X.x.X."),
        Groove("waltz", (84, 180), "X...........", "....x...x...", "x...x...x...", meter="3/4"),
        Groove("slow three", (60, 100), "X.......x...", "....x...o...", "x.o.x.o.x.o.", meter="3/4"),
    ),
    "funk": (
        Groove("sixteenths", (88, 116), "X.....x..xx.....", "....X..o.o..X..o", "xoxoxoxoxoxoxoxo"),
        Groove("displaced", (92, 120), "X.x.......x..x..", "....X..o.o.oX...", "x.xxx.xxx.xxx.xx"),
        Groove(
            "new orleans",
            (80, 112),
            "X..x..x...x.....",
            "x.oxo.x.oxo.x.oo",
            "x...x...x...x...",
            feel=SIXTEENTHS,
        ),
    ),
    "orchestral": (
        Groove("march", (96, 132), "X.......X.......", "x..ox..ox..ox.oo", ""),
        Groove("timpani bars", (60, 150), "X...........x...", "", ""),
        Groove("timpani waltz", (96, 190), "X...........", "", "", meter="3/4"),
        Groove("ostinato drums", (110, 160), "X..x..x.X..x..x.", "", "", "o.o.x.o.o.o.x.o."),
    ),
    "jazz": (
        Groove("ride", (100, 230), "o...o...o...o...", "", "x...x.o.x...x.o.", "....x.......x...", feel=JAZZ),
        Groove("brushes", (60, 120), "o.......o.......", "x...x...x...x...", "o.o.o.o.o.o.o.o.", feel=JAZZ),
        Groove(
            "jazz waltz", (110, 190), "o...........", "......o.....", "x...x.o.x...", meter="3/4", feel=JAZZ
        ),
        Groove("bossa", (110, 150), "x..xx..xx..xx..x", "x..x..x...x..x..", "x.x.x.x.x.x.x.x."),
    ),
    "hiphop": (
        Groove(
            "boom bap", (80, 100), "X......x..x.....", "....X.......X...", "x.x.x.x.x.x.x.x.", feel=SIXTEENTHS
        ),
        Groove("lofi", (68, 90), "X.........xo....", "....x.......x...", "x.x.x.x.x.x.x.xo", feel=SIXTEENTHS),
        Groove("trap", (130, 152), "X.....x...X.....", "........X.......", "x.x.x.xxx.x.xxxx"),
        Groove(
            "west coast",
            (88, 104),
            "X..x....X.x.....",
            "....X.......X...",
            "..x...x...x...x.",
            "x.x.x.x.x.x.x.x.",
        ),
    ),
    "odd": (
        Groove("five", (96, 176), "X.....x...", "......X.X.", "x.x.x.x.x.", meter="5/4"),
        Groove("five rock", (110, 170), "X.x...X...", "....X...X.", "xxxxxxxxxx", meter="5/4"),
        Groove("seven", (110, 200), "X...x.....x...", "....X.....X...", "x.x.x.x.x.x.x.", meter="7/8"),
        Groove("seven rock", (110, 190), "X.....X.......", "....X.......X.", "xxxxxxxxxxxxxx", meter="7/8"),
    ),
    "compound": (
        Groove("six eight", (46, 96), "X....x......", "......X.....", "X.x.x.X.x.x.", meter="6/8"),
        Groove("six eight ballad", (40, 70), "X.........x.", "......x.....", "x.x.x.x.x.x.", meter="6/8"),
        Groove("jig", (96, 130), "X.....x.....", "....o.....o.", "x.o.x.x.o.x.", meter="6/8"),
    ),
}

EVALUATION: Grooves = {
    "edm": (
        Groove("club", (118, 129), "X...X...X...X...", "....x..o....x...", "x.X.x.X.x.Xox.X."),
        Groove(
            "peak techno",
            (130, 145),
            "X...X...X...X..x",
            "............x...",
            "..X...X...X...X.",
            "x..x..x..x..x..x",
        ),
        Groove("uplifting", (134, 141), "X...X...X...X...", "....X.......X...", "xxXxxxXxxxXxxxXx"),
        Groove("jungle", (164, 176), "X.X.......X.....", "....X..o.o..X..o", "x.xxx.x.x.xxx.x."),
        Groove("dub", (138, 142), "X.........x.....", "........X.....o.", "x..x..x.x..x..x."),
        Groove("big beat", (110, 134), "X..x..x...x.....", "....X..o....X...", "X...X...X...X..."),
        Groove("downtempo", (88, 108), "X.....x.........", "....x.......x...", "x.x.x.xxx.x.x.xx"),
    ),
    "rock": (
        Groove("arena", (92, 144), "X...x...X.x.x...", "....X.......X...", "X...X...X...X..."),
        Groove("indie", (126, 164), "X..x..x.X.......", "....X.......X..o", "x.X.x.X.x.X.x.X."),
        Groove("fast", (160, 198), "X...x...X...x...", "..x...x...x...x.", "X...X...X...X..."),
        Groove("metal gallop", (130, 170), "X.xxX.xxX.xxX.xx", "....X.......X...", "X...X...X...X..."),
    ),
    "pop": (
        Groove("slow song", (60, 82), "X.......x..x....", "....x.......x..o", "x.x.x.x.x.x.x.x."),
        Groove("mid", (94, 124), "X..x....X..x....", "....X.......X...", "x.xox.xox.xox.xo"),
        Groove("three", (90, 170), "X.......o...", "....x.o.x...", "x.x.x.x.x.x.", meter="3/4"),
    ),
    "funk": (
        Groove("pocket", (90, 114), "X..x..x....x.x..", "....X..o.o..X.o.", "x.xox.xox.xox.xo"),
        Groove("party", (96, 120), "X.x...x.x.x.....", "..o.X..o..o.X..o", "xxxxxxxxxxxxxxxx"),
    ),
    "orchestral": (
        Groove("parade", (100, 128), "X...x...X...x...", "X.oox.ooX.oox.oo", ""),
        Groove("heroic", (90, 150), "X.......x...x.x.", "", "", "X..............."),
        Groove("dance in three", (100, 184), "X...........", "........o...", "", meter="3/4"),
    ),
    "jazz": (
        Groove(
            "bebop",
            (120, 226),
            "o.......o.......",
            "......o.......o.",
            "x...x.x.x...x.x.",
            "....x.......x...",
            feel=JAZZ,
        ),
        Groove(
            "shuffle", (84, 140), "x.......x.......", "....X.......X...", "X.xoX.xoX.xoX.xo", feel=SHUFFLE
        ),
        Groove("soft three", (100, 180), "o.......o...", "", "x...x...x.o.", meter="3/4", feel=JAZZ),
    ),
    "hiphop": (
        Groove(
            "classic", (82, 100), "X..x......x..x..", "....X.......X...", "x.x.x.x.x.x.x.x.", feel=SIXTEENTHS
        ),
        Groove(
            "laid back", (70, 90), "X......xx.......", "....X.......X..o", "xox.xox.xox.xox.", feel=SIXTEENTHS
        ),
        Groove("drill", (136, 148), "X.....x....x....", "........X.......", "x..x..x.x..x..x."),
    ),
    "odd": (
        Groove("take five", (104, 176), "X..x..x...", "......x.X.", "x.xxx.x.x.", meter="5/4"),
        Groove("seven pop", (116, 190), "X...X...X.....", "..X...X.....X.", "x.x.x.x.x.x.x.", meter="7/8"),
    ),
    "compound": (
        Groove("slow dance", (48, 76), "X.......x.x.", "......X.....", "x.o.x.x.o.x.", meter="6/8"),
        Groove("folk six", (70, 110), "X..x..X.....", "....x.....x.", "X.....X.....", meter="6/8"),
    ),
}
