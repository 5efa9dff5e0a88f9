from __future__ import annotations

import json
from pathlib import Path

import pytest

from greenroom.settings import hide_in_text, load
from greenroom.settings.redaction import is_secret

CONFIG = """
app: {title: Mine, baseUrl: https://backstage.example.com}
backend:
  auth:
    externalAccess: [{type: static, options: {token: S3CRET-token, subject: ci}}]
    keys: [{secret: S3CRET}]
  https: {certificate: {cert: c, key: S3CRET}}
  database:
    client: pg
    connection: {host: db, user: me, password: S3CRET}
    directConnection: postgres://me:S3CRET@db:5432/cat?sslpassword=S3CRET&sslmode=require
  cache: {store: redis, connection: 'rediss://:S3CRET@cache:6379/0', redis: {cluster: {rootNodes: [{url: S3CRET}]}}}
integrations:
  github: [{host: github.com, token: S3CRET, apps: [{appId: 1, clientSecret: S3CRET, privateKey: S3CRET}]}]
  bitbucketServer: [{host: b, username: S3CRET, password: S3CRET}]
  azureBlobStorage: [{accountName: a, accountKey: S3CRET, sasToken: S3CRET, connectionString: S3CRET}]
  awsS3: [{accessKeyId: S3CRET, secretAccessKey: S3CRET, endpoint: https://s3}]
  harness: [{apiKey: S3CRET}]
aws: {mainAccount: {accessKeyId: S3CRET}, accounts: [{accountId: '1', externalId: S3CRET}]}
auth:
  session: {secret: S3CRET}
  providers: {github: {development: {clientId: shown, clientSecret: S3CRET}}}
proxy:
  endpoints:
    /ci:
      target: https://S3CRET@ci.example.com/
      headers: {Authorization: Bearer S3CRET, X-Api-Key: S3CRET, Cookie: a=S3CRET, X-Extra: 'Bearer S3CRET', Accept: json}
scaffolder: {defaultEnvironment: {parameters: {region: eu}, secrets: {A_THING: S3CRET}}}
techdocs: {publisher: {awsS3: {credentials: {roleArn: S3CRET}}}}
other:
  fromVariable: ${DEPLOY_PASSWORD}
  partly: name-${API_TOKEN}-x
  included: {$env: GH_PAT}
  file: {$file: run/secrets/thing}
  copied: 'curl -H "x: S3CRET-token"'
  url: 'https://h/hook?token=S3CRET&x=1'
  dsn: host=h password='S3CRET a' user=u
  flag: {token: false, secretsEnabled: true, tokenExpiration: 1h}
  plain: ${PLAIN}
  pem: "-----BEGIN RSA PRIVATE KEY-----\\nS3CRET\\n-----END RSA PRIVATE KEY-----"
  list: [ghp_S3CRETS3CRETS3CRETS3CRET]
  pin: {password: 1234567}
"""


def shown(folder: Path, text: str = CONFIG) -> dict[str, object]:
    (folder / "run/secrets").mkdir(parents=True)
    (folder / "run/secrets/thing").write_text("S3CRET")
    (folder / "app-config.yaml").write_text(text)
    environ = {"DEPLOY_PASSWORD": "S3CRET", "API_TOKEN": "S3CRET", "GH_PAT": "S3CRET", "PLAIN": "shown"}
    environ["APP_CONFIG_more_clientSecret"] = "S3CRET"
    return load([folder / "app-config.yaml"], environ).redacted()


def test_no_secret_is_printed(tmp_path: Path) -> None:
    text = json.dumps(shown(tmp_path))
    assert "S3CRET" not in text
    assert "1234567" not in text


def test_what_is_no_secret_is_printed(tmp_path: Path) -> None:
    tree = json.loads(json.dumps(shown(tmp_path)))
    assert tree["app"] == {"title": "Mine", "baseUrl": "https://backstage.example.com"}
    backend = tree["backend"]
    assert backend["database"]["connection"] == {"host": "db", "user": "me", "password": "<secret>"}
    url = "postgres://me:<secret>@db:5432/cat?sslpassword=<secret>&sslmode=require"
    assert backend["database"]["directConnection"] == url
    assert backend["auth"]["externalAccess"][0]["options"] == {"token": "<secret>", "subject": "ci"}
    assert tree["integrations"]["github"][0]["host"] == "github.com"
    assert tree["auth"]["providers"]["github"]["development"]["clientId"] == "shown"
    assert tree["proxy"]["endpoints"]["/ci"]["target"] == "https://<secret>@ci.example.com/"
    assert tree["proxy"]["endpoints"]["/ci"]["headers"]["Accept"] == "json"
    assert tree["scaffolder"]["defaultEnvironment"]["parameters"] == {"region": "eu"}
    assert tree["other"]["flag"] == {"token": False, "secretsEnabled": True, "tokenExpiration": "1h"}
    assert tree["other"]["plain"] == "shown"
    assert tree["other"]["dsn"] == "<secret>"
    assert tree["other"]["copied"] == 'curl -H "x: <secret>"'
    assert tree["other"]["url"] == "https://h/hook?token=<secret>&x=1"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://host:8080/a@b", "https://host:8080/a@b"),
        ("https://user:p@ss@host/x", "https://<secret>@host/x"),
        ("https://user:p/ss@host/x", "https://<secret>@host/x"),
        ("https://ghx@github.com/o/r.git", "https://<secret>@github.com/o/r.git"),
        ("git+https://u:p@h", "git+https://<secret>@h"),
        ("ssh://git@github.com/o/r", "ssh://git@github.com/o/r"),
        ("postgres://me@db/x", "postgres://me@db/x"),
        ("postgres://me:1234@db/x", "postgres://me:<secret>@db/x"),
        ("redis://:pw@h", "redis://:<secret>@h"),
        ("a https://u:p@h and https://v:q@i", "a https://<secret>@h and https://<secret>@i"),
        ("host=h password=x", "host=h password=<secret>"),
        ("host=h password='x y' user=u", "host=h password=<secret> user=u"),
        ("authorization: Bearer abc.def", "authorization: Bearer <secret>"),
        ("mailto:someone@example.com", "mailto:someone@example.com"),
        ("#general", "#general"),
        ("glpat-abcdefghijkl", "<secret>"),
    ],
)
def test_credentials_inside_texts_are_hidden(text: str, expected: str) -> None:
    assert hide_in_text(text) == expected


@pytest.mark.parametrize(
    "key",
    [
        *("password", "dbPassword", "DB_PASSWORD", "PASSWD", "client_secret", "ClientSecret", "clientsecret", "token"),
        *("apiKey", "api-key", "APIKEY", "X-API-Key", "accessKeyId", "privateKey", "PRIVATE-TOKEN", "sshKey", "key"),
        *(
            "passphrase",
            "pat",
            "credentials",
            "Authorization",
            "cookie",
            "webhookSecret",
            "githubPAT",
            "jwtKeys",
            "_auth",
        ),
    ],
)
def test_keys_that_hold_secrets_are_known(key: str) -> None:
    assert is_secret(("some", key))


@pytest.mark.parametrize(
    "key",
    [
        "title",
        "keyboard",
        "compass",
        "path",
        "tokenUrl",
        "passwordPolicy",
        "monkey",
        "primaryKeyColumn",
        "user",
        "author",
    ],
)
def test_keys_that_hold_none_are_left_alone(key: str) -> None:
    assert not is_secret(("some", key))
