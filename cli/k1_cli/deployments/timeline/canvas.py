"""A canvas for lines, boxes and text; coordinates are inches from the upper left corner."""

import io
import warnings
from typing import Any, Literal

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from k1_contracts.escaping import escape_controls

_ROUNDING = 0.03
_DOTS_PER_INCH = 110


class Canvas:
    """A picture of a fixed size; what is drawn on a higher `layer` covers what is on lower ones."""

    def __init__(self, width: float, height: float, colour: str) -> None:
        self._figure = Figure(figsize=(width, height), dpi=_DOTS_PER_INCH, facecolor=colour)
        FigureCanvasAgg(self._figure)
        self._axes: Any = self._figure.add_axes((0, 0, 1, 1))
        self._axes.set(xlim=(0, width), ylim=(height, 0))
        self._axes.axis("off")

    def line(
        self, x: float, *, top: float, bottom: float, colour: str, width: float = 0.8, layer: int = 1
    ) -> None:
        """Draw a vertical line."""
        ends = (x, x), (top, bottom)
        self._axes.plot(*ends, color=colour, linewidth=width, zorder=layer, solid_capstyle="butt")

    def box(
        self,
        corner: tuple[float, float],
        size: tuple[float, float],
        colour: str,
        *,
        edge: str | None = None,
        hatch: str | None = None,
        round_by: float = _ROUNDING,
        layer: int = 0,
    ) -> None:
        """Draw a box from its upper left corner."""
        (x, y), (width, height) = corner, size
        rounding = min(round_by, width / 2, height / 2)
        self._axes.add_patch(
            FancyBboxPatch(
                (x + rounding, y + rounding),
                width - 2 * rounding,
                height - 2 * rounding,
                boxstyle=f"round,pad={rounding},rounding_size={rounding}",
                facecolor=colour,
                edgecolor=edge or colour,
                linewidth=0.6 if edge else 0,
                hatch=hatch,
                zorder=layer,
            )
        )

    def text(
        self,
        place: tuple[float, float],
        text: str,
        size: float,
        colour: str,
        *,
        align: Literal["left", "center", "right"] = "left",
        bold: bool = False,
    ) -> None:
        """Draw one line of text, vertically centred at `place`."""
        # A reason may contain what matplotlib would parse as mathematics.
        style = {"ha": align, "va": "center", "weight": "bold" if bold else "normal", "parse_math": False}
        self._axes.text(*place, escape_controls(text), size=size, color=colour, zorder=9, **style)

    def png(self) -> bytes:
        """Return the picture as PNG."""
        out = io.BytesIO()
        with warnings.catch_warnings():
            # Letters that the font lacks are drawn as boxes; a warning would not help the person at the terminal.
            warnings.filterwarnings("ignore", message="Glyph .* missing from font")
            self._figure.savefig(out, format="png", metadata={"Software": None})
        return out.getvalue()
