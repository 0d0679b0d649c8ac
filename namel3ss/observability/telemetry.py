"""Where telemetry goes, and what of it: the settings of one process, and its tracer and instruments.

The rules of this file:

* OpenTelemetry, and our own tables of what to record, are imported only when something could listen: providers were
  passed in, the application has imported it, or its environment names a provider. Until then a request costs a look
  into `sys.modules`.
* Global providers are used and never set.
* Nothing here raises into the caller. What fails inside a provider is logged: the first time with its traceback.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import TYPE_CHECKING

from namel3ss._version import __version__
from namel3ss.observability.capture import ContentCapture, content_capture
from namel3ss.observability.profiles import SCHEMA_URL, choose_profiles

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import TracebackType

    from opentelemetry._logs import Logger, LoggerProvider
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import Tracer, TracerProvider

    from namel3ss.observability.instruments import Instruments, Measurement
    from namel3ss.observability.profiles import ProfileChoice

__all__ = ["Guard", "Telemetry", "current_telemetry", "use_telemetry"]

logger = logging.getLogger(__name__)

PROPAGATE_ENV = "NAMEL3SS_TELEMETRY_PROPAGATE"
# An application that names a provider here means it to be loaded, even if nothing of its own imports OpenTelemetry.
_PROVIDER_ENV = ("OTEL_PYTHON_TRACER_PROVIDER", "OTEL_PYTHON_METER_PROVIDER")

_SCOPE = "namel3ss"


class Telemetry:
    """One destination of traces and metrics, with its settings. Safe from any thread; usually one for a process.

    A provider left out is the global one, whenever the application sets it. `capture` (else
    ``OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT``) says whether prompts and answers are recorded: by default
    they are not. `propagate` (else ``NAMEL3SS_TELEMETRY_PROPAGATE=true``) sends ``traceparent`` to model servers.
    `clamp_model` maps the model of a request to the name under which it is counted (see `cardinality`). `environ` is
    read once, here.
    """

    def __init__(
        self,
        *,
        profile: ProfileChoice | None = None,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        logger_provider: LoggerProvider | None = None,
        capture: ContentCapture | None = None,
        propagate: bool | None = None,
        clamp_model: Callable[[str], str] | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        variables = os.environ if environ is None else environ
        self.profiles = choose_profiles(profile, variables)
        self.capture = content_capture(variables) if capture is None else capture
        self.propagate = _is_true(variables.get(PROPAGATE_ENV, "")) if propagate is None else propagate
        self.clamp_model = clamp_model
        self._tracer_provider = tracer_provider
        self._meter_provider = meter_provider
        self._logger_provider = logger_provider
        self._named_in_environment = any(variables.get(name) for name in _PROVIDER_ENV)
        self._tracer: Tracer | None = None
        self._instruments: Instruments | None = None
        self._logger: Logger | None = None
        self._has_failed = False

    def tracer(self) -> Tracer | None:
        """The tracer, or None while nobody could receive a span."""
        if self._tracer is None and (self._tracer_provider or self._could_listen("opentelemetry.trace")):
            with self.guard("get a tracer"):
                from opentelemetry import trace

                provider = self._tracer_provider or trace.get_tracer_provider()
                if not _does_nothing(provider, "opentelemetry.trace"):
                    self._tracer = provider.get_tracer(_SCOPE, __version__, SCHEMA_URL)
        return self._tracer

    def instruments(self) -> Instruments | None:
        """The instruments, or None while nobody could receive a measurement."""
        if self._instruments is None and (
            self._meter_provider or self._could_listen("opentelemetry.metrics")
        ):
            with self.guard("get a meter"):
                from opentelemetry import metrics

                provider = self._meter_provider or metrics.get_meter_provider()
                if not _does_nothing(provider, "opentelemetry.metrics"):
                    from namel3ss.observability.instruments import Instruments

                    self._instruments = Instruments(provider.get_meter(_SCOPE, __version__, SCHEMA_URL))
        return self._instruments

    def event_logger(self) -> Logger | None:
        """The logger for OpenTelemetry events, or None while nobody could receive one."""
        if self._logger is None and (self._logger_provider or self._could_listen("opentelemetry._logs")):
            with self.guard("get an event logger"):
                from opentelemetry import _logs

                provider = self._logger_provider or _logs.get_logger_provider()
                if not _does_nothing(provider, "opentelemetry._logs"):
                    self._logger = provider.get_logger(_SCOPE, __version__, SCHEMA_URL)
        return self._logger

    def record(self, measurements: Iterable[Measurement]) -> None:
        """Record them all, if anybody receives them."""
        instruments = self.instruments()
        if instruments is None:
            return
        with self.guard("record a measurement"):
            for measurement in measurements:
                instruments.record(measurement)

    def forward(self, name: str, values: Mapping[str, float], labels: Mapping[str, object] | None) -> None:
        """Hand a listener metric on, if its name is one of ours; labels that are not declared are left out."""
        value = values.get("value")
        if value is None or self.instruments() is None:
            return
        # Loaded with the first measurement, not with the first request.
        from namel3ss.observability.instruments import Measurement
        from namel3ss.observability.ollama_metrics import LISTENER_INSTRUMENTS
        from namel3ss.observability.sharing_metrics import SHARING_INSTRUMENTS

        spec = LISTENER_INSTRUMENTS.get(name) or SHARING_INSTRUMENTS.get(name)
        if spec is None:
            return
        given = labels or {}
        attributes = {label: str(given[label]) for label in spec.attributes if label in given}
        self.record([Measurement(spec, value, attributes)])

    def counted_as(self, model: str) -> str:
        """The name under which a model is counted."""
        return model if self.clamp_model is None else self.clamp_model(model)

    def guard(self, what: str) -> Guard:
        """Keeps what fails inside from the caller: logged as an error the first time, then only for debugging."""
        return Guard(self, what)

    def _failed(self, what: str, error: Exception) -> None:
        level = logging.DEBUG if self._has_failed else logging.ERROR
        self._has_failed = True
        logger.log(level, "telemetry could not %s; requests are not affected", what, exc_info=error)

    def _could_listen(self, module: str) -> bool:
        return module in sys.modules or self._named_in_environment


class Guard:
    """See `Telemetry.guard`. A class, because a generator would cost ten times as much on each request."""

    __slots__ = ("_telemetry", "_what")

    def __init__(self, telemetry: Telemetry, what: str) -> None:
        self._telemetry = telemetry
        self._what = what

    def __enter__(self) -> None: ...

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        if not isinstance(exc, Exception):
            return False
        self._telemetry._failed(self._what, exc)
        return True


def _does_nothing(provider: object, api_module: str) -> bool:
    """Whether it is one of the providers that come with the API: a place-holder, until an SDK is set up."""
    return type(provider).__module__.startswith(api_module)


def _is_true(value: str) -> bool:
    return value.strip().lower() in {"1", "true", "yes", "on"}


# Made when it is first asked for, so that importing this reads no environment; replaced by `use_telemetry` alone.
_current: Telemetry | None = None


def current_telemetry() -> Telemetry:
    """The telemetry of this process: what `use_telemetry` set, else one made from the environment."""
    global _current
    if _current is None:
        _current = Telemetry()
    return _current


def use_telemetry(telemetry: Telemetry | None) -> Telemetry | None:
    """Make it the telemetry of this process; None starts again from the environment. Returns what it replaces."""
    global _current
    replaced, _current = _current, telemetry
    return replaced
