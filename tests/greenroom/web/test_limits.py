"""backend.rateLimit: who is slowed down, and what they are told (express-rate-limit)."""

import time
from datetime import timedelta

import pytest

from greenroom.errors import ConfigError
from greenroom.settings import BackendConfig, LifecycleConfig, PluginRateLimit, RateLimit
from greenroom.web import limits
from greenroom.web.limits import REMEMBERED, ClientAddress, RateLimiter, network_of
from tests.greenroom.web.surface import app, client
from tests.support.asgi import Client
from tests.support.waiting import slowness

FIXED = "/api/plain/fixed"


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


async def test_who_asks_too_often_is_told_when_to_come_back() -> None:
    asked = Client(app(BackendConfig(rate_limit=RateLimit(incoming_request_limit=2))), address="192.0.2.1")
    replies = [await asked.get(FIXED) for _ in range(3)]
    assert [reply.status for reply in replies] == [200, 200, 429]
    assert [reply.headers["x-ratelimit-remaining"] for reply in replies] == ["1", "0", "0"]
    last = replies[-1]
    assert last.headers["x-ratelimit-limit"] == "2"
    assert 58 <= int(last.headers["retry-after"]) <= 60
    assert int(last.headers["x-ratelimit-reset"]) > 1_700_000_000
    assert last.text == (
        '{"error":{"name":"Error","message":"Too many requests, please try again later"},"response":{"statusCode":429}}'
    )
    assert last.headers["content-type"] == "application/json; charset=utf-8"


async def test_true_means_five_requests_a_minute() -> None:
    asked = Client(app(BackendConfig(rate_limit=True)), address="192.0.2.1")
    assert [(await asked.get("/nope")).status for _ in range(6)] == [404] * 5 + [429]


async def test_the_machine_itself_is_not_limited() -> None:
    asked = client(BackendConfig(rate_limit=RateLimit(incoming_request_limit=0)))
    assert (await asked.get(FIXED)).status == 200


async def test_a_plugin_has_a_limit_of_its_own() -> None:
    config = RateLimit(over_all=False, plugin={"plain": PluginRateLimit(incoming_request_limit=1)})
    asked = Client(app(BackendConfig(rate_limit=config)), address="192.0.2.1")
    assert [(await asked.get(FIXED)).status for _ in range(2)] == [200, 429]
    assert [(await asked.get("/api/catalog/locations")).status for _ in range(2)] == [200, 200]


async def test_without_a_config_nothing_is_counted() -> None:
    reply = await Client(app(), address="192.0.2.1").get(FIXED)
    assert "x-ratelimit-limit" not in reply.headers


@pytest.mark.parametrize(
    ("config", "status", "passes"),
    [
        (PluginRateLimit(incoming_request_limit=1, skip_successful_requests=True), 200, True),
        (PluginRateLimit(incoming_request_limit=1, skip_successful_requests=True), 404, False),
        (PluginRateLimit(incoming_request_limit=1, skip_failed_requests=True), 404, True),
        (PluginRateLimit(incoming_request_limit=1, skip_failed_requests=True), 200, False),
    ],
)
def test_requests_that_do_not_count_are_taken_back(config: PluginRateLimit, status: int, passes: bool) -> None:
    limiter = RateLimiter(config)
    first = limiter.admit("192.0.2.1", "192.0.2.1")
    assert first is not None
    limiter.finished(first.key, status)
    second = limiter.admit("192.0.2.1", "192.0.2.1")
    assert second is not None
    assert second.passes is passes


def test_a_new_window_begins_when_the_old_one_is_over() -> None:
    clock = Clock()
    limiter = RateLimiter(PluginRateLimit(window=timedelta(seconds=10), incoming_request_limit=1), clock)

    def passes() -> bool:
        verdict = limiter.admit("192.0.2.1", "192.0.2.1")
        return verdict is not None and verdict.passes

    assert [passes(), passes()] == [True, False]
    clock.now += 9.9
    assert passes() is False
    clock.now += 0.1
    assert passes() is True


def test_an_ipv6_user_cannot_hop_between_addresses_of_one_network() -> None:
    assert network_of("2001:db8:0:1::1") == network_of("2001:db8:0:2::ffff") == "2001:db8::/56"
    assert network_of("2001:db8:0:100::1") != network_of("2001:db8:0:1::1")
    assert network_of("::ffff:192.0.2.1") == "192.0.2.1"


@pytest.mark.parametrize(
    ("trust", "forwarded", "expected"),
    [
        (None, "1.1.1.1", "10.0.0.9"),
        (False, "1.1.1.1", "10.0.0.9"),
        (True, "1.1.1.1, 2.2.2.2", "1.1.1.1"),
        (1, "1.1.1.1, 2.2.2.2", "2.2.2.2"),
        (2, "1.1.1.1, 2.2.2.2", "1.1.1.1"),
        (1, "", "10.0.0.9"),
        ("10.0.0.0/8", "1.1.1.1, 2.2.2.2", "2.2.2.2"),
        (["10.0.0.0/8", "2.2.2.2"], "1.1.1.1, 2.2.2.2", "1.1.1.1"),
        ("loopback, uniquelocal", "1.1.1.1", "1.1.1.1"),
        ("loopback", "1.1.1.1", "10.0.0.9"),
    ],
)
def test_forwarded_addresses_count_only_from_trusted_proxies(
    trust: bool | int | str | list[str] | None, forwarded: str, expected: str
) -> None:
    assert ClientAddress(trust).of("10.0.0.9", {b"x-forwarded-for": forwarded.encode()}) == expected


async def test_a_proxy_is_not_mistaken_for_its_clients() -> None:
    config = BackendConfig(rate_limit=RateLimit(incoming_request_limit=1), trust_proxy=1, lifecycle=LifecycleConfig())
    asked = Client(app(config), address="192.0.2.1")
    statuses = [(await asked.get("/nope", x_forwarded_for=f"198.51.100.{index}")).status for index in (1, 2, 1)]
    assert statuses == [404, 404, 429]


def test_a_flood_of_addresses_does_not_cost_a_look_at_all_of_them() -> None:
    limiter = RateLimiter(PluginRateLimit(), Clock())
    for number in range(REMEMBERED):
        limiter.admit(f"10.{number}", "")
    began = time.thread_time()
    for number in range(1_000):
        limiter.admit(f"11.{number}", "")
    assert time.thread_time() - began < slowness()  # it took five


def test_who_is_forgotten_first_is_whose_window_ends_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "REMEMBERED", 2)
    clock = Clock()
    limiter = RateLimiter(PluginRateLimit(incoming_request_limit=1), clock)
    for seconds, address in ((0, "10.0.0.1"), (30, "10.0.0.2"), (30, "10.0.0.1"), (1, "10.0.0.3")):
        clock.now += seconds
        limiter.admit(address, "")
    again = limiter.admit("10.0.0.1", "")
    assert again is not None
    assert not again.passes


@pytest.mark.parametrize(
    ("text", "same"), [("true", True), (" False", False), ("2", 2), ("0", 0), ("10.0.0.0/8", ["10.0.0.0/8"])]
)
def test_proxies_may_be_trusted_through_a_variable(text: str, same: bool | int | list[str]) -> None:
    headers = {b"x-forwarded-for": b"192.0.2.1, 192.0.2.2, 10.0.0.8"}
    assert ClientAddress(text).of("10.0.0.9", headers) == ClientAddress(same).of("10.0.0.9", headers)


@pytest.mark.parametrize("trust", ["nobody", "10.0.0.0/99", ["loopback, 300.1.1.1"], "-1", -2])
def test_a_proxy_that_cannot_be_meant_stops_the_start(trust: int | str | list[str]) -> None:
    with pytest.raises(ConfigError, match=r"^backend\.trustProxy: "):
        ClientAddress(trust)
