"""Write the dashboards: `.venv/bin/python -m tools.dashboards`, after each change of `definitions`."""

from pathlib import Path
from typing import Final

from tools.dashboards.definitions import DASHBOARDS
from tools.dashboards.panels import render

FOLDER: Final = Path(__file__).parents[2] / "deploy" / "monitoring" / "grafana" / "dashboards"


def main() -> None:
    """Write one JSON file for each dashboard."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for dashboard in DASHBOARDS:
        (FOLDER / f"{dashboard.uid}.json").write_text(render(dashboard), "utf-8")


if __name__ == "__main__":
    main()
