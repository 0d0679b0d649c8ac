"""A pull under way, on stderr: one moving bar on a terminal, a line for each tenth elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Self

from namel3ss.cli.formats import format_bytes, format_duration

if TYPE_CHECKING:
    from types import TracebackType

    from rich.progress import Progress, TaskID

    from namel3ss.cli.output import Output
    from namel3ss.providers.local.ollama._pull_progress import PullProgress

__all__ = ["PullDisplay", "pull_line"]

_WORDS: Final = {
    "manifest": "looking it up",
    "verify": "verifying",
    "write": "writing",
    "check": "checking",
}


class PullDisplay:
    """Shows pulls, one after the other; call it with each PullProgress. Leaving the context wipes the bar."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._model: str | None = None
        self._tenths = 0

    def __call__(self, progress: PullProgress) -> None:
        """Show how far the pull is."""
        if progress.model != self._model:
            self._begin(progress.model)
        if self._output.can_animate:
            self._move_bar(progress)
        elif progress.fraction is not None and int(progress.fraction * 10) > self._tenths:
            self._tenths = int(progress.fraction * 10)
            self._output.note(f"Pulling {progress.model}: {pull_line(progress)}")
        if progress.phase == "success":
            self.close()
            self._output.note(f"Pulled {progress.model} ({format_bytes(progress.total_bytes)}).")

    def close(self) -> None:
        """Wipe the bar. Idempotent."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
        self._model = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _begin(self, model: str) -> None:
        self.close()
        self._model = model
        self._tenths = 0
        if not self._output.can_animate:
            self._output.note(f"Pulling {model} …")

    def _move_bar(self, progress: PullProgress) -> None:
        if self._bar is None:
            self._bar, self._task = _new_bar(self._output)
            self._bar.start()
        if self._task is not None:
            self._bar.update(
                self._task,
                description=f"Pulling {progress.model}",
                completed=progress.completed_bytes,
                total=progress.total_bytes or None,
                numbers=pull_line(progress),
            )


def pull_line(progress: PullProgress) -> str:
    """``45 % · 2.1 GB of 4.7 GB · 52.3 MB/s · 0:49 left``, as far as it is known; else what is being done."""
    if progress.phase != "download" or progress.fraction is None:
        return _WORDS.get(progress.phase, "")
    parts = [
        f"{progress.fraction:.0%}".replace("%", " %"),
        f"{format_bytes(progress.completed_bytes)} of {format_bytes(progress.total_bytes)}",
    ]
    if progress.bytes_per_s:
        parts.append(f"{format_bytes(progress.bytes_per_s)}/s")
    if progress.eta_s is not None:
        parts.append(f"{format_duration(progress.eta_s)} left")
    return " · ".join(parts)


def _new_bar(output: Output) -> tuple[Progress, TaskID]:
    # rich takes long to import, and most answers need no pull.
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    console = Console(file=output.stderr, force_terminal=True, no_color=not output.stderr_has_color)
    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[numbers]}", markup=False),
        console=console,
        transient=True,
    )
    return bar, bar.add_task("", total=None, numbers="")
