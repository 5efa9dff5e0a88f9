"""The composition root: in which order plugins are built, and which mistakes of theirs stop the start, and how it is told."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import msgspec
import pytest

from greenroom.app import (
    House,
    Services,
    build,
    check_config,
    in_order,
    installed_plugins,
    opened,
    running,
)
from greenroom.db import Database
from greenroom.errors import ConfigError, ServiceUnavailableError
from greenroom.loops import Role
from greenroom.permissions import Permissions
from greenroom.plugin import (
    Contribution,
    EntityProvider,
    EntitySource,
    Host,
    Loop,
    Migrations,
    MissingServiceError,
    NoConfig,
    Plugin,
    Provides,
    Status,
)
from greenroom.settings import AppConfig, load
from tests.support.asgi import TOKEN, Client
from tests.support.installed import pretend_installed


class Tea(Protocol):
    """A service."""


class Water(Protocol):
    """Another."""


class Provider:
    def __init__(self, name: str) -> None:
        self.name = name
        self.every: timedelta | None = None

    async def run(self, source: EntitySource) -> None:
        """Nothing to bring."""


def made(
    name: str,
    *contributions: Contribution,
    needs: Sequence[type] = (),
    provides: Sequence[type] = (),
    config: type[Any] = NoConfig,
    build: Callable[[Any, Host], Iterable[Contribution]] | None = None,
) -> Plugin[Any]:
    """A plugin that yields these contributions."""
    return Plugin(name, config, name, build or (lambda config, host: contributions), tuple(needs), tuple(provides))


def names(plugins: Iterable[Plugin[Any]]) -> list[str]:
    return [plugin.name for plugin in plugins]


def built(*plugins: Plugin[Any], config: AppConfig | None = None) -> Services:
    services = Services()
    build(plugins, config or load([], {}), services)
    return services


async def step() -> float:
    return 60.0


async def facts() -> dict[str, Any]:
    return {}


# --- order -----------------------------------------------------------------------------------------------------------


def test_a_plugin_is_built_after_those_it_needs_and_otherwise_by_name() -> None:
    cup = made("a-cup", needs=[Tea])
    tea = made("b-tea", needs=[Water], provides=[Tea])
    other, water = made("c-other"), made("d-water", provides=[Water])
    assert names(in_order([cup, tea, other, water], [])) == ["c-other", "d-water", "b-tea", "a-cup"]


def test_what_the_floor_lends_needs_no_plugin() -> None:
    assert names(in_order([made("cup", needs=[Database])], [Database])) == ["cup"]


def test_a_missing_service_is_told_of_the_plugin_that_needs_it_not_of_those_that_wait_for_that_plugin() -> None:
    cup, tea = made("cup", needs=[Tea]), made("tea", needs=[Water], provides=[Tea])
    with pytest.raises(ConfigError, match=r"^plugins\.tea: needs Water, which nobody provides"):
        in_order([cup, tea], [])


def test_plugins_that_wait_for_each_other_stop_the_start() -> None:
    tea, water = made("tea", needs=[Water], provides=[Tea]), made("water", needs=[Tea], provides=[Water])
    with pytest.raises(ConfigError, match="in a circle: tea, water"):
        in_order([tea, water], [])


# --- two of a kind ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        (Provides(Tea, "green"), Provides(Tea, "black"), r"the service .*Tea"),
        (Loop("steep", step), Loop("steep", step), "the loop steep"),
        (Provider("leaves"), Provider("leaves"), "the entity provider leaves"),
        (Migrations("tea", Path("a")), Migrations("tea", Path("b")), "the migrations of tea"),
        (Status("Tea", facts), Status("Tea", facts), "the status Tea"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_two_contributions_of_one_id_stop_the_start(one: Contribution, other: Contribution, said: str) -> None:
    with pytest.raises(ConfigError, match=rf"^plugins: both early and late contribute {said} \("):
        built(made("early", one), made("late", other))


def test_one_plugin_may_not_contribute_an_id_twice_either() -> None:
    with pytest.raises(ConfigError, match=r"^plugins\.tea: contributes the loop steep twice"):
        built(made("tea", Loop("steep", step), Loop("steep", step)))


def test_two_protocols_of_one_name_are_two_services() -> None:
    class Elsewhere:
        class Tea(Protocol):
            """Not the same tea."""

    services = built(made("tea", Provides(Tea, "green")), made("more", Provides(Elsewhere.Tea, "black")))
    assert services.get(Tea, "test") == "green"


async def test_a_plugin_may_not_replace_what_the_floor_lends(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usurper = made("usurper", Provides(Database, "mine"))
    monkeypatch.setattr("greenroom.app.installed_plugins", lambda: [usurper])
    with pytest.raises(
        ConfigError, match=r"^plugins: both greenroom itself and usurper contribute the service greenroom\.db.*Database"
    ):
        async with opened(load([], {}), {"GREENROOM_DATA": str(tmp_path)}, database=database):
            pass


# --- building --------------------------------------------------------------------------------------------------------


class Kettle(msgspec.Struct):
    litres: int = 1


def test_a_plugins_config_is_checked_before_the_plugin_runs() -> None:
    config = load([], {}, {"kettle": {"litres": "much"}})
    with pytest.raises(ConfigError, match=r"kettle\.litres"):
        built(made("kettle", config=Kettle), config=config)


def test_a_plugin_that_breaks_its_promise_stops_the_start() -> None:
    with pytest.raises(ConfigError, match=r"^plugins\.tea: does not provide Tea, as it promised"):
        built(made("tea", provides=[Tea]))


def test_asking_for_a_service_that_nobody_lends_names_both() -> None:
    def ask(config: Any, host: Host) -> Iterable[Contribution]:
        yield host.get(Tea)

    with pytest.raises(MissingServiceError, match="The plugin cup needs Tea, which no installed plugin provides"):
        built(made("cup", build=ask))


def test_a_plugin_sees_the_contributions_of_those_that_are_built_after_it() -> None:
    seen: list[Callable[[], Sequence[EntityProvider]]] = []

    def remember(config: Any, host: Host) -> Iterable[Contribution]:
        assert host.log.name == "greenroom.catalog"
        seen.append(lambda: host.all(EntityProvider))
        return ()

    built(made("catalog", build=remember), made("leaves", Provider("leaves")))
    assert [provider.name for provider in seen[0]()] == ["leaves"]


class Unscheduled:
    """Forgets `every`, so the catalog would never run it."""

    name = "leaves"

    async def run(self, source: EntitySource) -> None:
        """Never called."""


@pytest.mark.parametrize(
    ("yielded", "said"),
    [
        (None, "None"),
        (3, "3"),
        ("a password", "an object of type str"),
        (step, "the function step"),
        (Provider, "the type Provider"),
        (Unscheduled(), "an object of type Unscheduled"),
    ],
)
def test_what_no_part_of_the_house_would_use_is_refused(yielded: object, said: str) -> None:
    with pytest.raises(
        ConfigError, match=rf"^plugins\.tea: yields {said}, which is no contribution \(.*EntityProvider"
    ):
        built(made("tea", yielded))


DECORATES = """from greenroom.plugin import action

@action("tea:steep")
def steep(ctx):
    return {}
"""
BROKEN = """from greenroom.errors import NotFoundError
from greenroom.plugin import NoConfig, Ready, plugin

def fail():
    raise ValueError("no leaves")

@plugin("tea")
def raises(config, host):
    fail()
    yield

@plugin("tea")
def is_refused(config, host):
    raise NotFoundError("no water")

@plugin("tea")
def has_no_words(config, host):
    raise RuntimeError

@plugin("tea")
def yields_nothing(config, host):
    pass

@plugin("tea")
def raises_late(config, host):
    yield Ready(fail)
"""


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("raises", r"ValueError: no leaves, at {file}:5"),
        ("is_refused", r"NotFoundError: no water, at {file}:14"),
        ("has_no_words", r"RuntimeError, at {file}:18"),
        ("yields_nothing", r"TypeError: 'NoneType' object is not iterable"),
        ("raises_late", r"ValueError: no leaves, at {file}:5"),
    ],
)
def test_what_a_plugin_raises_is_told_with_its_name_and_the_line(
    name: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / f"broken_{name}.py").write_text(BROKEN)
    monkeypatch.syspath_prepend(str(tmp_path))
    broken = getattr(import_module(f"broken_{name}"), name)
    told = said.format(file=re.escape(str(tmp_path / f"broken_{name}.py")))
    with pytest.raises(ConfigError, match=rf"^plugins\.tea: failed while it was built: {told} \(.*uninstall"):
        built(broken)


# --- what is installed -----------------------------------------------------------------------------------------------


def test_the_plugins_of_this_distribution_are_found_like_a_strangers() -> None:
    assert {"auth", "catalog", "git", "ndjson", "permission"} <= set(names(installed_plugins()))


@pytest.mark.parametrize(
    ("points", "said"),
    [
        ({"acme": "no_such_module:acme"}, r"^plugins\.acme: no_such_module:acme cannot be imported"),
        ({"acme": "json:no_such_name"}, r"^plugins\.acme: json:no_such_name cannot be imported"),
        ({"acme": "json:loads"}, r"^plugins\.acme: json:loads is not a plugin \(decorate it with @plugin\)"),
        ({"acme": "greenroom_catalog.plugin:catalog"}, r"^plugins\.catalog: two installed plugins have this name"),
    ],
)
def test_an_entry_point_that_is_no_plugin_stops_the_start(
    points: dict[str, str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(pretend_installed(tmp_path, points)))
    with pytest.raises(ConfigError, match=said):
        installed_plugins()


@pytest.mark.parametrize(
    ("module", "source", "said"),
    [
        ("tea_syntax", "\ndef f(:\n", r"SyntaxError: .*, at {file}:2"),
        ("tea_raises", "\n\nraise RuntimeError", r"RuntimeError, at {file}:3"),
        ("tea_lacks", "import no_such_library", r"ModuleNotFoundError: .*no_such_library', at {file}:1"),
        ("tea_decorates", DECORATES, r"TypeError: .*, at {file}:3"),
    ],
)
def test_a_plugin_that_cannot_be_imported_is_told_with_its_distribution_and_the_line(
    module: str, source: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / f"{module}.py"
    file.write_text(source)
    monkeypatch.syspath_prepend(str(pretend_installed(tmp_path, {"tea": f"{module}:tea"}, "tea_for_greenroom")))
    told = said.format(file=re.escape(str(file)))
    with pytest.raises(
        ConfigError, match=rf"^plugins\.tea: {module}:tea cannot be imported: {told} \(.*tea_for_greenroom 1.0"
    ):
        installed_plugins()


def test_checking_the_config_reads_every_section_and_warns_of_typing_errors() -> None:
    warnings = check_config(load([], {}, {"backend": {"lisen": {"port": 1}}}))
    assert len(warnings) == 1
    assert "backend.lisen" in warnings[0]
    with pytest.raises(ConfigError, match=r"catalog\.readonly"):
        check_config(load([], {}, {"catalog": {"readonly": "perhaps"}}))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("backend.trustProxy", "nobody"),
        ("backend.csp.img-src", ["a;b"]),
        ("backend.referrer.policy", ["everything"]),
        ("backend.cors.origin", ["http://[z-a].example.com"]),
        ("permission.enabled", "perhaps"),
    ],
)
def test_checking_the_config_finds_what_would_stop_the_start(path: str, value: object) -> None:
    with pytest.raises(ConfigError, match=rf"{re.escape(path)}: "):
        check_config(load([], {}, {path: value}))


@pytest.mark.parametrize(("text", "enabled"), [("false", False), ("true", True)])
async def test_permissions_may_be_switched_by_a_variable(
    database: Database, tmp_path: Path, text: str, enabled: bool
) -> None:
    config = load([], {}, {"permission.enabled": text})
    async with opened(config, {"GREENROOM_DATA": str(tmp_path)}, database=database) as house:
        assert house.services.get(Permissions, "test").enabled is enabled


# --- running ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("roles", "there", "missing"), [(["api"], "catalog.census", "catalog.process"), (["worker"], "catalog.process", "")]
)
async def test_a_process_runs_the_loops_of_its_roles(
    database: Database, tmp_path: Path, roles: list[Role], there: str, missing: str
) -> None:
    async with running(load([], {}), {"GREENROOM_DATA": str(tmp_path)}, database=database, roles=roles) as house:
        loops = {beat.name for beat in house.loops.beats()}
    assert there in loops
    assert missing not in loops


async def test_the_status_tells_of_every_part(database: Database, tmp_path: Path) -> None:
    async with opened(load([], {}), {"GREENROOM_DATA": str(tmp_path)}, database=database) as house:
        before = await house.status()
        assert set(before) == {"Database"}, "the parts have no tables yet"
        applied = await house.migrate()
        assert before["Database"]["migrations to apply"] == len(applied) > 0
        after = await house.status()
    assert after["Database"]["migrations to apply"] == 0
    assert after["Catalog"]["entities"] == 0


async def test_nothing_is_served_without_credentials_unless_the_config_says_dangerously(
    database: Database, tmp_path: Path
) -> None:
    tokens = [{"type": "static", "options": {"token": TOKEN, "subject": "tests"}}]
    config = load([], {}, {"backend": {"auth": {"externalAccess": tokens}}})
    async with running(config, {"GREENROOM_DATA": str(tmp_path)}, database=database, roles=["api"]) as house:
        assert (await Client(house.asgi, token=None).get("/api/catalog/entities")).status == 401
        assert (await Client(house.asgi).get("/api/catalog/entities")).status == 200


async def test_a_start_waits_for_a_database_that_is_away_or_crowded_for_a_moment(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("greenroom.app.START_REST", 0.01)
    migrate, refusals = House.migrate, [ServiceUnavailableError("full")] * 2

    async def crowded(self: House) -> list[str]:
        if refusals:
            raise refusals.pop()
        return await migrate(self)

    monkeypatch.setattr(House, "migrate", crowded)
    async with running(load([], {}), {"GREENROOM_DATA": str(tmp_path)}, database=database, roles=["api"]):
        assert not refusals
    monkeypatch.setattr("greenroom.app.START_SECONDS", 0.0)
    refusals.append(ServiceUnavailableError("full"))
    with pytest.raises(ServiceUnavailableError, match="full"):
        async with running(load([], {}), {"GREENROOM_DATA": str(tmp_path)}, database=database, roles=["api"]):
            pass
