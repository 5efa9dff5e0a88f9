"""The tables of auth on a real Postgres."""

from datetime import timedelta

import msgspec

from greenroom.auth.keys import Keyring, SigningKeys
from greenroom.auth.storage import MIGRATIONS, DatabaseKeyStore, UserInfo
from tests.support.postgres import MigratedDatabase

HOUR = timedelta(hours=1)


async def test_a_key_survives_the_process_that_made_it(migrated_database: MigratedDatabase) -> None:
    database = await migrated_database([MIGRATIONS])
    key = await SigningKeys(DatabaseKeyStore(database), HOUR).current()
    found = await Keyring(DatabaseKeyStore(database)).find(str(key.kid))
    assert found is not None
    assert found.as_dict() == key.as_dict(private=False)


async def test_no_private_key_is_in_the_database(migrated_database: MigratedDatabase) -> None:
    database = await migrated_database([MIGRATIONS])
    await SigningKeys(DatabaseKeyStore(database), HOUR).current()
    stored = msgspec.json.decode(await database.fetchval("select key from auth_signing_keys"))
    assert set(stored) == {"kty", "x", "y", "crv", "kid", "alg"}


async def test_expired_keys_are_neither_served_nor_kept(migrated_database: MigratedDatabase) -> None:
    database = await migrated_database([MIGRATIONS])
    store = DatabaseKeyStore(database)
    await store.add({"kid": "old"}, timedelta(seconds=-1))
    await store.add({"kid": "new"}, HOUR)
    assert list(await store.public_keys()) == [{"kid": "new"}]
    assert await database.fetchval("select count(*) from auth_signing_keys") == 1


async def test_the_last_sign_in_is_what_userinfo_tells(migrated_database: MigratedDatabase) -> None:
    users = UserInfo(await migrated_database([MIGRATIONS]))
    assert await users.find("user:default/ann") is None
    await users.remember({"sub": "user:default/ann", "ent": ["user:default/ann"]})
    await users.remember({"sub": "user:default/ann", "ent": ["user:default/ann", "group:default/a"]})
    assert await users.find("user:default/ann") == {
        "sub": "user:default/ann",
        "ent": ["user:default/ann", "group:default/a"],
    }
    assert await users.find("user:default/Ann") is None
