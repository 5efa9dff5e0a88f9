"""What the process tells about itself: log lines, metrics, and, where OpenTelemetry is installed and asked for, traces."""

from __future__ import annotations

import logging
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from importlib.util import find_spec
from typing import Any, Literal, Protocol, TextIO, TypeVar

import msgspec
import prometheus_client
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

from greenroom.javascript.times import iso

SERVICE = "greenroom"

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""The id of the request that is being answered; every log line of it carries the id."""

log = logging.getLogger("greenroom.telemetry")

# --- metrics -----------------------------------------------------------------------------------------------------

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Buckets for durations in seconds."""


class Mirror(Protocol):
    """Where the same numbers go a second time: an OpenTelemetry meter."""

    def add(self, name: str, amount: float, labels: Mapping[str, str]) -> None: ...

    def observe(self, name: str, value: float, labels: Mapping[str, str]) -> None: ...

    def set(self, name: str, value: float, labels: Mapping[str, str]) -> None: ...


class _Instrument:
    def __init__(self, name: str, metric: Any, mirror: Mirror | None) -> None:
        self._name, self._metric, self._mirror = name, metric, mirror
        self._children: dict[tuple[tuple[str, str], ...], Any] = {}

    def _child(self, labels: Mapping[str, str]) -> Any:
        """The time series of these labels, remembered: looking it up in the library costs more than counting."""
        if not labels:
            return self._metric
        key = tuple(labels.items())
        child = self._children.get(key)
        if child is None:
            child = self._children[key] = self._metric.labels(**labels)
        return child


class Counter(_Instrument):
    """A number that only grows."""

    def inc(self, amount: float = 1, **labels: str) -> None:
        """Every label of the metric must be given."""
        self._child(labels).inc(amount)
        if self._mirror:
            self._mirror.add(self._name, amount, labels)


class Histogram(_Instrument):
    """How often a value fell into which range."""

    def observe(self, value: float, **labels: str) -> None:
        """Every label of the metric must be given."""
        self._child(labels).observe(value)
        if self._mirror:
            self._mirror.observe(self._name, value, labels)


class Gauge(_Instrument):
    """A number that comes and goes."""

    def set(self, value: float, **labels: str) -> None:
        """Every label of the metric must be given."""
        self._child(labels).set(value)
        if self._mirror:
            self._mirror.set(self._name, value, labels)

    def clear(self) -> None:
        """Forget all label values, so that those that are gone are not told for ever."""
        self._children.clear()
        self._metric.clear()


M = TypeVar("M", Counter, Histogram, Gauge)


def _exposed(name: str) -> str:
    """`catalog.stitching.duration` -> `catalog_stitching_duration`, as OpenTelemetry's own exporter spells it."""
    return name.replace(".", "_")


class Metrics:
    """The metrics of one app, in a registry of its own. Asking twice for one name gives the same metric.

    Names are exposed as given, dots as underscores: no `_total` is put behind a counter's, so that dashboards made for
    upstream fit."""

    def __init__(self, mirror: Mirror | None = None) -> None:
        self._registry = prometheus_client.CollectorRegistry()
        self._mirror = mirror
        self._known: dict[str, Counter | Histogram | Gauge] = {}
        self._counters: list[str] = []

    def counter(self, name: str, about: str, labels: Sequence[str] = ()) -> Counter:
        """A counter; `labels` are the names of what it is counted by."""
        if name not in self._known:
            metric = prometheus_client.Gauge(_exposed(name), about, labels, registry=self._registry)
            self._counters.append(_exposed(name))
            self._known[name] = Counter(name, metric, self._mirror)
        return self._of(name, Counter)

    def histogram(
        self, name: str, about: str, labels: Sequence[str] = (), buckets: Sequence[float] = SECONDS
    ) -> Histogram:
        """A histogram, of durations in seconds unless `buckets` say otherwise."""
        if name not in self._known:
            metric = prometheus_client.Histogram(
                _exposed(name), about, labels, registry=self._registry, buckets=buckets
            )
            self._known[name] = Histogram(name, metric, self._mirror)
        return self._of(name, Histogram)

    def gauge(self, name: str, about: str, labels: Sequence[str] = ()) -> Gauge:
        """A gauge."""
        if name not in self._known:
            metric = prometheus_client.Gauge(_exposed(name), about, labels, registry=self._registry)
            self._known[name] = Gauge(name, metric, self._mirror)
        return self._of(name, Gauge)

    def render(self) -> bytes:
        """All metrics as Prometheus text."""
        text = generate_latest(self._registry)
        for name in self._counters:
            text = text.replace(f"# TYPE {name} gauge\n".encode(), f"# TYPE {name} counter\n".encode())
        return text

    content_type = CONTENT_TYPE_PLAIN_0_0_4

    def _of(self, name: str, kind: type[M]) -> M:
        known = self._known[name]
        if not isinstance(known, kind):
            raise TypeError(f"the metric {name} is a {type(known).__name__}, not a {kind.__name__}")
        return known


# --- logs --------------------------------------------------------------------------------------------------------

_PLAIN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "request_id", "color_message"}
_COLORS = {"debug": "36", "info": "32", "warn": "33", "error": "31"}
_LEVELS = {"WARNING": "warn", "CRITICAL": "error"}
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


SECRET = "<secret>"  # noqa: S105 - the mark that `greenroom.settings` uses too, a neighbour we do not import

_LONG_LINE = 16
"""Characters from which on a single line of a secret, such as a key in PEM, is hidden by itself."""


class Redaction:
    """Replaces secret texts, known at the start, in everything that is logged.

    Errors quote values by their `repr`, and tracebacks go line by line: a secret is found in these forms too."""

    def __init__(self, secrets: Iterable[str] = (), hide: Callable[[str], str] | None = None) -> None:
        """`hide` takes out what nobody knew of, such as the password in somebody else's URL. It costs more, and so is for what
        quotes others: warnings and errors."""
        self._hide = hide
        known = sorted({form for secret in secrets for form in _forms(secret) if len(form) >= 4}, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, known))) if known else None

    def __call__(self, text: str) -> str:
        return self._pattern.sub(SECRET, text) if self._pattern else text

    def of(self, record: logging.LogRecord) -> Callable[[str], str]:
        """What the texts of a record go through."""
        hide = self._hide
        return self if hide is None or record.levelno < logging.WARNING else lambda text: hide(self(text))


def _deep(value: Any, redact: Callable[[str], str]) -> Any:
    """Every text inside a JSON value redacted, names included."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {redact(name): _deep(inner, redact) for name, inner in value.items()}
    return [_deep(inner, redact) for inner in value] if isinstance(value, list | tuple) else value


def _forms(secret: str) -> Iterator[str]:
    """The text itself, without space around it, as `repr` and JSON quote it, and its lines."""
    for text in (secret, secret.strip()):
        yield text
        yield repr(text)[1:-1]
        yield msgspec.json.encode(text).decode()[1:-1]
    lines = [line.strip() for line in secret.splitlines()]
    yield from (line for line in lines if len(line) >= _LONG_LINE and len(lines) > 1)


def _extras(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in vars(record).items() if name not in _PLAIN}


def _level(record: logging.LogRecord) -> str:
    return _LEVELS.get(record.levelname, record.levelname.lower())


def _part(record: logging.LogRecord) -> str:
    """`greenroom.catalog.engine` -> `catalog`"""
    return record.name.removeprefix(f"{SERVICE}.").partition(".")[0]


def _time(record: logging.LogRecord) -> str:
    return iso(datetime.fromtimestamp(record.created, UTC))


def _stack(record: logging.LogRecord) -> str:
    return "".join(traceback.format_exception(*record.exc_info)).rstrip() if record.exc_info else ""


class JsonLines(logging.Formatter):
    """One JSON object a line: level, message, plugin, service, timestamp, requestId, stack, and what the caller added."""

    def __init__(self, redaction: Redaction) -> None:
        super().__init__()
        self._redact = redaction

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "level": _level(record),
            "message": record.getMessage(),
            "plugin": _part(record),
            "service": SERVICE,
            "timestamp": _time(record),
        }
        if current := request_id.get():
            line["requestId"] = current
        if stack := _stack(record):
            line["stack"] = stack
        line.update(_extras(record))
        plain = msgspec.to_builtins(line, str_keys=True, enc_hook=str)
        return msgspec.json.encode(_deep(plain, self._redact.of(record))).decode()


class Readable(logging.Formatter):
    """For people: time, part, level and message, colored on request; the stack below."""

    def __init__(self, redaction: Redaction, *, color: bool) -> None:
        super().__init__()
        self._redact = redaction
        self._color = color

    def format(self, record: logging.LogRecord) -> str:
        redact, level = self._redact.of(record), _level(record)
        message = redact(record.getMessage())
        shown = _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", message)
        painted = f"\x1b[{_COLORS.get(level, '0')}m{level}\x1b[0m" if self._color else level
        current = request_id.get()
        stack = redact(_stack(record))
        text = f"{_time(record)} {_part(record)} {painted} {shown}{f' [{current}]' if current else ''}"
        return f"{text}\n{stack}" if stack else text


def configure_logging(
    *,
    environ: Mapping[str, str] | None = None,
    stream: TextIO | None = None,
    style: Literal["json", "readable"] | None = None,
    secrets: Iterable[str] = (),
    hide: Callable[[str], str] | None = None,
) -> None:
    """Send all log lines to the stream (stderr), readable on a terminal and as JSON elsewhere.

    `LOG_LEVEL` (debug, info, warn, error) and `NO_COLOR` are taken from the environment; `secrets` never show up, nor, in
    warnings and errors, what `hide` takes for one."""
    environ = os.environ if environ is None else environ
    stream = sys.stderr if stream is None else stream
    terminal = stream is not None and stream.isatty()
    redaction = Redaction(secrets, hide)
    handler = logging.StreamHandler(stream)
    if (style or ("readable" if terminal else "json")) == "json":
        handler.setFormatter(JsonLines(redaction))
    else:
        handler.setFormatter(Readable(redaction, color=terminal and not environ.get("NO_COLOR")))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    wanted = environ.get("LOG_LEVEL", "info").upper()
    root.setLevel({"WARN": "WARNING"}.get(wanted, wanted) if wanted in _KNOWN_LEVELS else "INFO")
    for noisy in ("asyncio", "aiohttp", "httpx", "urllib3"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


_KNOWN_LEVELS = frozenset({"DEBUG", "INFO", "WARN", "WARNING", "ERROR", "CRITICAL"})

# --- OpenTelemetry -----------------------------------------------------------------------------------------------

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


class Tracer:
    """Spans around what takes time; without OpenTelemetry they cost nothing."""

    def __init__(self, tracer: Any = None) -> None:
        self._tracer = tracer

    @property
    def enabled(self) -> bool:
        """Whether anybody looks at the spans."""
        return self._tracer is not None

    @contextmanager
    def span(self, name: str, **attributes: str | float | bool) -> Iterator[Any]:
        """A span; what it yields takes `set_attribute`, or is None when nobody looks."""
        if self._tracer is None:
            yield None
            return
        with self._tracer.start_as_current_span(name, attributes=attributes) as span:
            yield span


class Telemetry:
    """The metrics and the tracer of one app."""

    def __init__(
        self, metrics: Metrics | None = None, tracer: Tracer | None = None, providers: Sequence[Any] = ()
    ) -> None:
        self.metrics = metrics or Metrics()
        self.tracer = tracer or Tracer()
        self._providers = providers

    def close(self) -> None:
        """Send what is left. May take as long as the exporters' timeouts."""
        for provider in self._providers:
            provider.shutdown()


class _MeterMirror:
    """Metrics -> an OpenTelemetry meter, one instrument a name."""

    def __init__(self, meter: Any) -> None:
        self._meter = meter
        self._instruments: dict[str, Any] = {}

    def add(self, name: str, amount: float, labels: Mapping[str, str]) -> None:
        self._get(name, "create_counter").add(amount, labels)

    def observe(self, name: str, value: float, labels: Mapping[str, str]) -> None:
        self._get(name, "create_histogram").record(value, labels)

    def set(self, name: str, value: float, labels: Mapping[str, str]) -> None:
        self._get(name, "create_gauge").set(value, labels)

    def _get(self, name: str, create: str) -> Any:
        if name not in self._instruments:
            self._instruments[name] = getattr(self._meter, create)(name)
        return self._instruments[name]


def open_telemetry(environ: Mapping[str, str], endpoint: str | None = None) -> Telemetry:
    """Telemetry that also goes to an OTLP/HTTP collector when an endpoint is configured or in the environment.

    Without the extra `otel` that is a warning. All of OpenTelemetry's own variables count; the global providers are left
    alone, so that two apps in one process do not mix."""
    endpoint = endpoint or environ.get(ENDPOINT)
    if not endpoint:
        return Telemetry()
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.sdk") is None:
        log.warning("%s is set, but OpenTelemetry is not installed: pip install 'greenroom[otel]'", ENDPOINT)
        return Telemetry()
    return _exporting(endpoint.rstrip("/"), environ)


def _exporting(endpoint: str, environ: Mapping[str, str]) -> Telemetry:
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    resource = Resource.create({"service.name": environ.get("OTEL_SERVICE_NAME", SERVICE)})
    traces = TracerProvider(resource=resource, shutdown_on_exit=False)
    traces.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{endpoint}/v1/traces")))
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(f"{endpoint}/v1/metrics"))
    meters = MeterProvider([reader], resource=resource, shutdown_on_exit=False)
    metrics = Metrics(_MeterMirror(meters.get_meter(SERVICE)))
    return Telemetry(metrics, Tracer(traces.get_tracer(SERVICE)), (traces, meters))
