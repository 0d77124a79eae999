"""Builds the JSON of a Grafana dashboard from rows of panels. Pure: the same definition gives the same bytes."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

Kind = Literal["timeseries", "stat", "bargauge", "table"]
Unit = Literal["short", "s", "ms", "bytes", "percentunit", "reqps", "currencyUSD", "Bps", "none"]
_COLUMNS: Final = 24
_HEIGHT: Final = 8
_SCHEMA: Final = 39
"""The version of the model of dashboards, of Grafana 10 and 11."""
_SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}


@dataclass(frozen=True, slots=True)
class Series:
    """A query in PromQL, and the name of its lines; `{{label}}` stands for the value of a label."""

    query: str
    legend: str


@dataclass(frozen=True, slots=True)
class Panel:
    """A panel; `red_from` is the value from which it is red."""

    title: str
    series: tuple[Series, ...]
    unit: Unit = "short"
    kind: Kind = "timeseries"
    red_from: float | None = None
    width: int = 8


@dataclass(frozen=True, slots=True)
class Row:
    """Panels under one heading."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Dashboard:
    """A dashboard; its uid is the name of its file and part of its address."""

    uid: str
    title: str
    rows: tuple[Row, ...]


def line(
    title: str, query: str, legend: str, unit: Unit = "short", *, red_from: float | None = None
) -> Panel:
    """Return a panel of lines from one query."""
    return Panel(title, (Series(query, legend),), unit, red_from=red_from)


def number(title: str, query: str, unit: Unit = "short", *, red_from: float | None = None) -> Panel:
    """Return a small panel that shows one number."""
    return Panel(title, (Series(query, title),), unit, "stat", red_from, width=4)


def quantiles(title: str, metric: str, by: str = "", selector: str = "") -> Panel:
    """Return a panel with the median and the 95th percentile of a histogram, by a label where one is given."""
    labels, legend = (f"le, {by}", f"{{{{{by}}}}} ") if by else ("le", "")
    series = tuple(
        Series(
            f"histogram_quantile({share}, sum by ({labels}) (rate({metric}_bucket{selector}[5m])))",
            f"{legend}p{share:.0%}".rstrip("%"),
        )
        for share in (0.5, 0.95)
    )
    return Panel(title, series, "s")


def render(dashboard: Dashboard) -> str:
    """Return the JSON document of a dashboard."""
    document = {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "tags": ["k1"],
        "schemaVersion": _SCHEMA,
        "version": 1,
        "editable": False,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": [{"name": "datasource", "type": "datasource", "query": "prometheus"}]},
        "annotations": {"list": [_alerts()]},
        "links": [
            {"title": "K1", "type": "dashboards", "tags": ["k1"], "asDropdown": True, "keepTime": True}
        ],
        "panels": list(_panels(dashboard)),
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _alerts() -> dict[str, Any]:
    """Return the annotation that shows on every panel when an alert fired."""
    return {
        "name": "Alerts",
        "datasource": _SOURCE,
        "enable": True,
        "iconColor": "red",
        "expr": 'ALERTS{alertstate="firing", alertname!="Watchdog"}',
        "titleFormat": "{{alertname}}",
    }


def _panels(dashboard: Dashboard) -> Iterator[dict[str, Any]]:
    """Yield the headings and panels with their places, from left to right and from top to bottom."""
    number_, x, y = 0, 0, 0
    for row in dashboard.rows:
        y, x = y + (_HEIGHT if x else 0), 0
        number_ += 1
        place = {"x": 0, "y": y, "w": _COLUMNS, "h": 1}
        yield {
            "id": number_,
            "type": "row",
            "title": row.title,
            "collapsed": False,
            "gridPos": place,
            "panels": [],
        }
        y += 1
        for panel in row.panels:
            if x + panel.width > _COLUMNS:
                x, y = 0, y + _HEIGHT
            number_ += 1
            yield _panel(panel, number_, {"x": x, "y": y, "w": panel.width, "h": _HEIGHT})
            x += panel.width


def _panel(panel: Panel, number_: int, place: dict[str, int]) -> dict[str, Any]:
    defaults: dict[str, Any] = {"unit": panel.unit, "min": 0}
    if panel.red_from is not None:
        steps = [{"color": "green", "value": None}, {"color": "red", "value": panel.red_from}]
        defaults["thresholds"] = {"mode": "absolute", "steps": steps}
        if panel.kind == "timeseries":
            defaults["custom"] = {"thresholdsStyle": {"mode": "line"}}
    targets = [
        {
            "refId": chr(ord("A") + index),
            "datasource": _SOURCE,
            "expr": series.query,
            "legendFormat": series.legend,
            "instant": panel.kind == "table",
        }
        for index, series in enumerate(panel.series)
    ]
    return {
        "id": number_,
        "type": panel.kind,
        "title": panel.title,
        "datasource": _SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "targets": targets,
    }
