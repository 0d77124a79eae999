"""Draws a measurement: backlog, workers and finished songs over time, and how long songs waited."""

from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmarks.scaling.run import Run


def draw(runs: dict[str, Run], path: Path) -> None:
    """Write a picture with a row for each measurement."""
    figure = Figure(figsize=(11, 3.4 * len(runs)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(runs), 2, squeeze=False, gridspec_kw={"width_ratios": [3, 1]})
    for (title, run), (left, right) in zip(runs.items(), axes, strict=True):
        times = [sample.at_s for sample in run.samples]
        backlog = [float("nan") if sample.backlog is None else sample.backlog for sample in run.samples]
        left.plot(times, backlog, label="backlog (the signal)")
        left.plot(times, [sample.completed for sample in run.samples], label="songs finished")
        left.set(title=title, xlabel="seconds since the first upload", ylabel="songs")
        workers = left.twinx()
        workers.step(
            times,
            [sample.replicas for sample in run.samples],
            where="post",
            color="tab:green",
            label="workers",
        )
        workers.set_ylabel("workers")
        workers.set_ylim(0, max(sample.replicas for sample in run.samples) + 1)
        handles = [*left.get_legend_handles_labels()[0], *workers.get_legend_handles_labels()[0]]
        left.legend(handles=handles, loc="center right")
        right.hist(run.waits_s, bins=20)
        right.set(title="queue wait", xlabel="seconds", ylabel="songs")
    figure.savefig(path, dpi=110)
