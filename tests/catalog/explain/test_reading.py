"""Why a location cannot be read: each class with the answer that a real host, or the disk, gives."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter
from typing import Any

import msgspec
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from greenroom_catalog.query.explain import Explanation
from greenroom_catalog.settings import LocationConfig
from tests.catalog.explain.conftest import SHOP, TILL, Host, MakeWorld, World, explains, finding
from tests.support.catalog import component, yaml_component

REF = "component:default/shop"


@explains("file-not-found")
async def test_a_file_that_is_gone_leaves_what_it_last_was_and_says_which_file(world: World, host: Host) -> Explanation:
    url = host.says("/shop.yaml", text=yaml_component("shop"))
    await world.register(url)
    host.says("/shop.yaml", 404)
    await world.catalog.source().refresh([f"url:{url}"])
    await world.settle()
    told = await world.ask(REF)
    assert told.state == "stale"
    assert told.findings[0].at == url
    assert [(step.stage, step.ok) for step in told.chain] == [
        ("provider", True),
        ("location", True),
        ("read", False),
        ("parse", None),
        ("rule", None),
        ("process", True),
        ("stitch", True),
        ("serve", True),
    ]
    return told


@explains("glob-without-hits")
async def test_a_pattern_that_matches_nothing(make_world: MakeWorld, tmp_path: Path) -> Explanation:
    world = await make_world(locations=[LocationConfig("file", f"{tmp_path}/*/shop.yaml")])
    await world.configured()
    return await world.ask(REF)


@explains("path-not-found")
async def test_a_file_of_the_config_that_is_not_on_the_server(make_world: MakeWorld, tmp_path: Path) -> Explanation:
    world = await make_world(locations=[LocationConfig("file", str(tmp_path / "shop.yaml"))])
    await world.configured()
    return await world.ask(REF)


@explains("reading-not-allowed")
async def test_a_host_that_the_config_does_not_allow_is_named_with_the_key_to_add(
    world: World, host: Host
) -> Explanation:
    await world.register("http://elsewhere.test/shop.yaml")
    told = await world.ask(REF)
    assert "`- host: elsewhere.test` to `backend.reading.allow`" in told.findings[0].hint
    return told


@explains("address-not-allowed")
async def test_a_name_that_stands_for_this_machine(world: World, host: Host) -> Explanation:
    await world.register(f"http://git.inner.test:{host.server.port}/shop.yaml")
    return await world.ask(REF)


@explains("redirect-not-allowed")
async def test_a_redirect_to_a_host_that_is_not_allowed(world: World, host: Host) -> Explanation:
    await world.register(host.says("/shop.yaml", 302, Location="http://elsewhere.test/shop.yaml"))
    told = await world.ask(REF)
    assert told.findings[0].hint.startswith("add `- host: elsewhere.test` to `backend.reading.allow`")
    return told


@explains("too-many-redirects")
async def test_redirects_in_a_circle(world: World, host: Host) -> Explanation:
    await world.register(host.says("/shop.yaml", 302, Location="/shop.yaml"))
    return await world.ask(REF)


@explains("host-unauthorized")
async def test_a_host_that_wants_a_token(world: World, host: Host) -> Explanation:
    await world.register(host.says("/shop.yaml", 401))
    told = await world.ask(REF)
    assert "`integrations`" in told.findings[0].hint
    return told


@explains("host-forbidden")
async def test_a_host_that_does_not_let_us(world: World, host: Host) -> Explanation:
    await world.register(host.says("/shop.yaml", 403))
    return await world.ask(REF)


@explains("host-rate-limited")
async def test_a_host_that_has_had_enough(world: World, host: Host) -> Explanation:
    await world.register(host.says("/shop.yaml", 429))
    return await world.ask(REF)


@explains("host-failing")
async def test_a_host_with_an_error_of_its_own(world: World, host: Host) -> Explanation:
    await world.register(host.says("/shop.yaml", 502))
    return await world.ask(REF)


@explains("host-timeout")
async def test_a_host_that_does_not_answer_in_time(world: World, slow_host: Host) -> Explanation:
    return await world.ask(REF, at=f"{slow_host.base}/shop.yaml")


@explains("host-unreachable")
async def test_a_host_that_is_not_there(world: World, host: Host) -> Explanation:
    url = host.says("/shop.yaml", text=yaml_component("shop"))
    await host.server.close()
    await world.register(url)
    return await world.ask(REF)


@explains("host-untrusted")
async def test_a_certificate_that_nobody_signed(world: World, host: Host, tmp_path: Path) -> Explanation:
    server = TestServer(web.Application(), scheme="https")
    await server.start_server(ssl=_self_signed(tmp_path))
    host.allow(f"127.0.0.1:{server.port}")
    await world.register(f"https://127.0.0.1:{server.port}/shop.yaml")
    told = await world.ask(REF)
    await server.close()
    assert "SSL_CERT_FILE" in told.findings[0].hint
    return told


def _self_signed(folder: Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
    made = made.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    file = folder / "server.pem"
    plain = serialization.NoEncryption()
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
        + made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(file)
    return context


@explains("invalid-url")
async def test_a_target_that_is_no_url(world: World, host: Host) -> Explanation:
    await world.register("shop/catalog-info.yaml")
    return await world.ask(REF)


@explains("file-too-large")
async def test_a_file_that_is_too_large(world: World, host: Host) -> Explanation:
    await world.register(host.says("/shop.yaml", text="#" * 3000))
    return await world.ask(REF)


@explains("glob-unsupported")
async def test_a_pattern_on_a_host_that_cannot_list_files(world: World, host: Host) -> Explanation:
    await world.register(f"{host.base}/*/shop.yaml")
    return await world.ask(REF)


@explains("file-unreadable")
async def test_a_folder_where_a_file_should_be(make_world: MakeWorld, tmp_path: Path) -> Explanation:
    (tmp_path / "shop.yaml").mkdir()
    world = await make_world(locations=[LocationConfig("file", str(tmp_path / "shop.yaml"))])
    await world.configured()
    return await world.ask(REF)


@explains("reading-failed")
async def test_what_else_goes_wrong_in_reading_is_told_as_it_is(world: World, host: Host) -> Explanation:
    await world.register(host.says("/shop.yaml", 418))
    return await world.ask(REF)


def _location(name: str, **spec: Any) -> str:
    return msgspec.json.encode(
        {"apiVersion": "backstage.io/v1alpha1", "kind": "Location", "metadata": {"name": name}, "spec": spec}
    ).decode()


@explains("location-type-not-allowed")
async def test_a_file_of_the_server_behind_a_url(world: World) -> Explanation:
    world.files[TILL] = _location("all", type="file", target="/etc/shop.yaml")
    await world.register(TILL)
    return await world.ask(REF)


@explains("location-type-unknown")
async def test_a_type_that_nobody_reads(make_world: MakeWorld) -> Explanation:
    world = await make_world(locations=[LocationConfig("gopher", "hole/shop.yaml")])
    await world.configured()
    return await world.ask(REF)


@explains("target-is-folder")
async def test_a_target_that_ends_with_a_slash(make_world: MakeWorld, tmp_path: Path) -> Explanation:
    world = await make_world()
    (tmp_path / "all.yaml").write_text(_location("all", target="./shop/"))
    world.config = world.config[0], [LocationConfig("file", str(tmp_path / "all.yaml"))]
    await world.configured()
    return await world.ask(REF)


@explains("target-escapes")
async def test_a_target_that_leads_out_of_its_repository(world: World) -> Explanation:
    url = "https://github.com/acme/shop/blob/main/%252e%252e/all.yaml"
    world.files[url] = world.files[url.replace("blob", "tree")] = _location("all", target="/../shop.yaml")
    await world.register(url)
    return await world.ask(REF)


@explains("location-optional-absent")
async def test_an_optional_location_that_points_at_nothing_is_no_error_of_its_own(world: World) -> Explanation:
    await world.register(SHOP, presence="optional")
    return await world.ask(REF)


async def test_the_first_of_several_reasons_is_the_one_that_names_the_entity(world: World, host: Host) -> None:
    """An unreadable location could hide anything; a file that holds the entity, refused, is the better answer."""
    broken = host.says("/other.yaml", 500)
    user = "apiVersion: backstage.io/v1alpha1\nkind: User\nmetadata: {name: eve}\nspec: {memberOf: []}\n"
    await world.register(broken, host.says("/eve.yaml", text=user))
    told = await world.ask("user:default/eve")
    assert [one.verdict for one in told.findings] == ["kind-not-allowed"]


async def test_credentials_in_an_address_are_never_told(world: World, host: Host) -> None:
    await world.register("http://joe:hunter2@127.0.0.1/shop.yaml?token=geheimnis")
    told = await world.ask(REF)
    assert told.verdict == "reading-not-allowed"
    assert told.findings[0].at == "http://<secret>@127.0.0.1/shop.yaml?token=<secret>"
    text = msgspec.json.encode(told).decode()
    assert "hunter2" not in text
    assert "geheimnis" not in text
    assert "127.0.0.1" in finding(told, "reading-not-allowed").hint


async def test_what_only_may_be_the_reason_is_told_as_such(world: World, host: Host) -> None:
    await world.register(host.says("/other.yaml", 500))
    told = await world.ask(REF)
    assert told.summary.startswith(f"{REF} is not in the catalog, perhaps because 127.0.0.1:")
    assert told.findings[0].suspected
    await world.emit(component("shop"))
    await world.register(host.says("/other.yaml", 500), host.says("/more.yaml", 403))
    told = await world.ask("api:default/till")
    assert [one.severity for one in told.findings] == ["error", "warning"]


async def test_a_host_that_hangs_does_not_keep_the_asker_waiting_for_each_of_its_files(
    world: World, slow_host: Host
) -> None:
    await world.found(*[f"{slow_host.base}/{number}.yaml" for number in range(3)])
    waits = []
    for _ in range(3):
        began = perf_counter()
        assert (await world.ask(REF)).verdict == "location-pending"
        waits.append(perf_counter() - began)
    assert min(waits) < 1.2, "all three together, half a second each"


async def test_of_many_things_that_failed_none_is_called_the_reason(world: World, host: Host) -> None:
    await world.register(*[host.says(f"/{status}.yaml", status) for status in (401, 403, 404, 418, 429)])
    told = await world.ask("component:default/till")
    assert (told.verdict, told.findings[0].suspected) == ("unknown", False)
    assert "behind one of the 5 locations that cannot be read" in told.findings[0].hint
    assert {one.severity for one in told.findings[1:]} == {"warning"}
    assert len(told.findings) < 6


async def test_of_many_the_one_whose_address_has_the_name_is_the_likely_reason(world: World, host: Host) -> None:
    await world.register(*[host.says(f"/{name}/catalog-info.yaml", 403) for name in ("a", "b", "c", "shop", "shops")])
    told = await world.ask(REF)
    assert [one.at for one in told.findings] == [f"{host.base}/shop/catalog-info.yaml"]
    assert told.summary.startswith(f"{REF} is not in the catalog, perhaps because ")


async def test_a_host_that_is_not_well_is_not_asked_again_for_an_explanation(world: World, host: Host) -> None:
    await world.register(host.says("/shop.yaml", 429))
    asked = len(host.asked)
    assert (await world.ask(REF)).verdict == "host-rate-limited"
    assert len(host.asked) == asked
