"""A replay's report as one page of plots that needs nothing but itself."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any


def write(report: dict[str, Any], titles: Mapping[str, str]) -> str:
    """HTML: errors by snapshot, and what each desk gains."""
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    page = make_subplots(
        rows=2,
        cols=1,
        subplot_titles=("RMSE by snapshot, vol points", "RMSE on the whole market by desk, vol points"),
        vertical_spacing=0.12,
    )
    for name, title in titles.items():
        errors = report["methods"].get(name, {}).get("error_by_snapshot")
        if errors:
            page.add_scatter(y=errors, name=title, mode="lines", row=1, col=1)
    desks = [gain["desk"] for gain in report["gains"]]
    for key, title in (("alone", "alone"), ("joint", "joint"), ("joint_and_head", "joint, with a head")):
        page.add_trace(go.Bar(x=desks, y=[gain[key]["market"] for gain in report["gains"]], name=title), row=2, col=1)
    first, last = (datetime.fromtimestamp(report[key], UTC).strftime("%Y-%m-%d %H:%M") for key in ("first", "last"))
    page.update_yaxes(type="log", row=1, col=1)
    page.update_xaxes(title="snapshot", row=1, col=1)
    page.update_xaxes(title="desk", type="category", row=2, col=1)
    page.update_layout(
        title=f"{report['tape']}, {report['snapshots']} snapshots, {first} to {last} UTC", height=900, barmode="group"
    )
    return page.to_html(include_plotlyjs=True)
