"""The API page: readable without a network, and harmless."""

import re

from greenroom.settings import BackendConfig
from greenroom.telemetry import Telemetry
from greenroom.web.docs import PATH
from tests.greenroom.web.surface import client
from tests.support.asgi import Client


async def test_the_page_needs_nothing_from_elsewhere(door: Client) -> None:
    page = await door.request("GET", PATH, token=None)
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    links = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(links) == 3
    for link in links:
        assert link == "data:," or (await door.request("GET", link, token=None)).status == 200
    assert "http" not in page.text


async def test_the_page_may_run_its_own_script_and_no_other(door: Client) -> None:
    page = await door.get(PATH)
    policy = page.headers["content-security-policy"].split(";")
    assert {"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"} <= set(policy)
    assert "unsafe" not in page.headers["content-security-policy"]
    assert not re.search(r"<script(?![^>]*\bsrc=)|\son\w+=|<style|style=", page.text)
    assert [name for name, _ in page.pairs].count("content-security-policy") == 1


async def test_the_page_never_makes_html_of_what_an_api_says(door: Client) -> None:
    script = (await door.get(f"{PATH}/page.js")).text
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b", script)


async def test_the_page_lists_every_documented_operation(door: Client) -> None:
    (catalog,) = (await door.get(f"{PATH}/documents.json")).json
    assert catalog["plugin"] == "catalog"
    assert "/api/catalog/entities/by-query" in catalog["document"]["paths"]


async def test_metrics_count_requests_by_operation_not_by_path() -> None:
    telemetry = Telemetry()
    asked = client(telemetry=telemetry)
    for name in ("a", "b"):
        await asked.get(f"/api/catalog/entities/by-uid/{name}")
        await asked.get(f"/api/catalog/nope-{name}")
        await asked.get(f"/nope-{name}")
    await asked.request("BREW", "/nope")
    text = (await asked.request("GET", "/metrics", token=None)).text
    assert 'http_server_requests{method="GET",operation="GetEntityByUid",plugin="catalog",status="200"} 2.0' in text
    assert 'http_server_requests{method="GET",operation="",plugin="catalog",status="404"} 2.0' in text
    assert 'http_server_requests{method="other",operation="",plugin="",status="404"} 1.0' in text
    assert "nope-" not in text


async def test_metrics_can_be_switched_off() -> None:
    assert (await client(BackendConfig(metrics=False)).get("/metrics")).status == 404
