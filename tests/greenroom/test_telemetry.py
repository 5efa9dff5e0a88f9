"""Log lines that can be read by people and machines and hold no secrets; metrics under the names dashboards know."""

import io
import json
import logging
from typing import Any

import pytest

from greenroom import settings
from greenroom.telemetry import SECRET, Metrics, Telemetry, Tracer, configure_logging, open_telemetry, request_id


class Terminal(io.StringIO):
    """A text stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def logged(stream: io.StringIO, **options: Any) -> str:
    options.setdefault("environ", {})
    configure_logging(stream=stream, **options)
    token = request_id.set("req-1")
    try:
        logging.getLogger("greenroom.catalog.engine").warning("found %s", "hunter2", extra={"ref": "a:b/c", "size": 3})
        try:
            raise ValueError("with hunter2")
        except ValueError:
            logging.getLogger("greenroom.web").exception("failed")
    finally:
        request_id.reset(token)
    return stream.getvalue()


def test_off_a_terminal_each_line_is_one_json_object() -> None:
    first, second = (json.loads(line) for line in logged(io.StringIO()).splitlines())
    assert first.pop("timestamp").endswith("Z")
    assert first == {
        "level": "warn",
        "message": "found hunter2",
        "plugin": "catalog",
        "service": "greenroom",
        "requestId": "req-1",
        "ref": "a:b/c",
        "size": 3,
    }
    assert second["level"] == "error"
    assert "ValueError: with hunter2" in second["stack"]


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()], ids=["json", "readable"])
def test_secrets_never_reach_the_log_not_even_in_a_stack(stream: io.StringIO) -> None:
    text = logged(stream, secrets=["hunter2", "x"])
    assert "hunter2" not in text
    assert f"found {SECRET}" in text
    assert "fixture" not in text
    assert "exc" not in text or SECRET in text


KEY = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49\nAgEGCCqGSM49AwEHBG0w\n-----END PRIVATE KEY-----\n"


@pytest.mark.parametrize("stream", [io.StringIO, Terminal], ids=["json", "readable"])
@pytest.mark.parametrize("secret", [KEY, 'with"quote', "with\\backslash", "with\r\nlines\x1b", "schl\u00fcssel\u2028x"])
def test_secrets_that_are_written_with_escapes_are_hidden_too(stream: type[io.StringIO], secret: str) -> None:
    out = stream()
    configure_logging(stream=out, environ={}, secrets=[secret])
    log = logging.getLogger("greenroom.web")
    log.warning("plain %s, quoted %r", secret, secret, extra={"deep": [{secret: {"x": (secret, ValueError(secret))}}]})
    try:
        raise ValueError(secret)
    except ValueError:
        log.exception("failed")
    told = out.getvalue()
    if stream is io.StringIO:
        told += "".join(repr(json.loads(line)) for line in told.rstrip().split("\n"))
    for piece in ("MIGHAg", "AgEGCC", "quote", "backslash", "lines\\", "schl"):
        assert piece not in told.replace("quoted", ""), piece
    assert SECRET in told


@pytest.mark.parametrize("stream", [io.StringIO, Terminal], ids=["json", "readable"])
def test_a_password_in_somebodys_url_is_not_logged_with_the_error_that_quotes_it(stream: type[io.StringIO]) -> None:
    out = stream()
    configure_logging(stream=out, environ={}, hide=settings.hide_credentials)
    try:
        raise ValueError("no such host: https://joe:hunter2@git.example.com/x.git")
    except ValueError:
        logging.getLogger("greenroom.git").exception("failed: %s", "https://joe:hunter2@git.example.com/x.git")
    assert "hunter2" not in out.getvalue()
    assert f"failed: https://{SECRET}@git.example.com/x.git" in out.getvalue()


def test_a_secret_that_is_a_common_word_does_not_break_the_line() -> None:
    out = io.StringIO()
    configure_logging(stream=out, environ={}, secrets=['":"', "greenroom"])
    logging.getLogger("greenroom.web").warning("of greenroom")
    assert json.loads(out.getvalue())["message"] == f"of {SECRET}"


def test_there_is_one_mark_for_what_is_hidden() -> None:
    assert settings.SECRET == SECRET


def test_on_a_terminal_lines_are_coloured_unless_that_is_unwanted() -> None:
    assert "catalog \x1b[33mwarn\x1b[0m found hunter2 [req-1]" in logged(Terminal())
    assert "\x1b" not in logged(Terminal(), environ={"NO_COLOR": "1"})


def test_a_message_cannot_pretend_to_be_another_line() -> None:
    stream = Terminal()
    configure_logging(stream=stream, environ={"NO_COLOR": "1"})
    logging.getLogger("greenroom.web").warning("a\x1b[2Jb\rc")
    assert stream.getvalue().rstrip().endswith("a\\x1b[2Jb\\x0dc")


@pytest.mark.parametrize(("level", "shown"), [("debug", 3), ("info", 2), ("WARN", 1), ("nonsense", 2), ("error", 0)])
def test_log_level_comes_from_the_environment(level: str, shown: int) -> None:
    stream = io.StringIO()
    configure_logging(stream=stream, environ={"LOG_LEVEL": level})
    log = logging.getLogger("greenroom.levels")
    log.debug("1")
    log.info("2")
    log.warning("3")
    assert len(stream.getvalue().splitlines()) == shown


def test_metrics_keep_the_names_of_upstream() -> None:
    metrics = Metrics()
    metrics.counter("catalog_processed_entities_count", "Entities processed", ["result"]).inc(result="ok")
    metrics.counter("catalog_processed_entities_count", "Entities processed", ["result"]).inc(2, result="ok")
    metrics.histogram("catalog.stitching.duration", "Time to stitch").observe(0.02)
    metrics.gauge("catalog_entities_count", "Entities", ["kind"]).set(7, kind="component")
    lines = metrics.render().decode().splitlines()
    assert "# TYPE catalog_processed_entities_count counter" in lines
    assert 'catalog_processed_entities_count{result="ok"} 3.0' in lines
    assert 'catalog_stitching_duration_bucket{le="0.025"} 1.0' in lines
    assert 'catalog_entities_count{kind="component"} 7.0' in lines


def test_two_apps_do_not_share_their_metrics() -> None:
    one, other = Metrics(), Metrics()
    one.counter("c", "").inc()
    assert b"c 1.0" not in other.render()


def test_labels_that_are_gone_are_forgotten() -> None:
    metrics = Metrics()
    gauge = metrics.gauge("g", "", ["kind"])
    gauge.set(1, kind="api")
    gauge.clear()
    gauge.set(2, kind="group")
    assert b"api" not in metrics.render()
    assert b'g{kind="group"} 2.0' in metrics.render()


def test_one_name_cannot_be_two_kinds_of_metric() -> None:
    metrics = Metrics()
    metrics.counter("c", "")
    with pytest.raises(TypeError, match="the metric c is a Counter, not a Gauge"):
        metrics.gauge("c", "")


class Mirror:
    """Notes what would go to OpenTelemetry."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, float, dict[str, str]]] = []

    def add(self, name: str, amount: float, labels: Any) -> None:
        self.seen.append(("add", name, amount, dict(labels)))

    def observe(self, name: str, value: float, labels: Any) -> None:
        self.seen.append(("observe", name, value, dict(labels)))

    def set(self, name: str, value: float, labels: Any) -> None:
        self.seen.append(("set", name, value, dict(labels)))


def test_opentelemetry_gets_the_same_numbers_under_the_original_names() -> None:
    mirror = Mirror()
    metrics = Metrics(mirror)
    metrics.counter("a.b", "", ["x"]).inc(2, x="1")
    metrics.histogram("c.d", "").observe(3)
    metrics.gauge("e", "").set(4)
    assert mirror.seen == [("add", "a.b", 2, {"x": "1"}), ("observe", "c.d", 3, {}), ("set", "e", 4, {})]


def test_without_an_endpoint_nothing_is_exported() -> None:
    telemetry = open_telemetry({})
    assert not telemetry.tracer.enabled
    with telemetry.tracer.span("x") as span:
        assert span is None
    telemetry.close()


def test_an_endpoint_without_the_extra_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("greenroom.telemetry.find_spec", lambda name: None)
    telemetry = open_telemetry({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"})
    assert not telemetry.tracer.enabled
    assert "pip install 'greenroom[otel]'" in caplog.text


def test_spans_have_names_and_attributes() -> None:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    telemetry = Telemetry(tracer=Tracer(provider.get_tracer("tests")), providers=[provider])
    with telemetry.tracer.span("GET", plugin="catalog"):
        pass
    (span,) = exporter.get_finished_spans()
    assert (span.name, dict(span.attributes or {})) == ("GET", {"plugin": "catalog"})
    telemetry.close()
