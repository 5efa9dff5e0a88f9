"""A seed -> questions about URLs: files of every kind of host, as people write and miswrite them. Deterministic."""

from __future__ import annotations

from random import Random
from typing import Any, TypeAlias

Case: TypeAlias = list[Any]
"""`["resolve", target, base, line or None]`, `["edit", url]` or `["file", url]`."""

INTEGRATIONS: dict[str, Any] = {
    "github": [
        {"host": "github.com"},
        {"host": "ghe.example.com:8443", "apiBaseUrl": "https://ghe.example.com:8443/api/v3", "token": "t"},
    ],
    "gitlab": [
        {"host": "gitlab.example.com", "apiBaseUrl": "https://gitlab.example.com/api/v4"},
        {
            "host": "git.example.com",
            "baseUrl": "https://git.example.com/lab/",
            "apiBaseUrl": "https://git.example.com/lab/api/v4",
        },
    ],
    "gitea": [{"host": "gitea.example.com"}, {"host": "tea.example.com", "baseUrl": "https://tea.example.com/sub/"}],
    "gerrit": [
        {"host": "gerrit.example.com", "gitilesBaseUrl": "https://gerrit.example.com/gitiles"},
        {
            "host": "review.example.com",
            "gitilesBaseUrl": "https://review.example.com/plugins/g",
            "disableEditUrl": True,
        },
        {"host": "root.example.com", "gitilesBaseUrl": "https://root.example.com"},
    ],
    "bitbucketServer": [{"host": "bb.example.com"}],
    "azure": [{"host": "tfs.example.com:8080"}, {"host": "acme.visualstudio.com"}],
    "harness": [{"host": "app.harness.io", "token": "t"}],
    "awsS3": [{"endpoint": "https://s3.example.com:9000"}],
    "awsCodeCommit": [{"region": "eu-west-1"}],
}

_WORDS = (
    "a",
    "team",
    "blob",
    "tree",
    "src",
    "raw",
    "edit",
    "issues",
    "commit",
    "projects",
    "repos",
    "files",
    "scm",
    "-",
)
_NAMES = ("shop", "web.site", "repo-1", "x_y", "shop.git", "R", "blob", "tree", "my%20repo", "é", "a+b")
_REFS = (
    "main",
    "master",
    "v1.0",
    "feature%2Fx",
    "HEAD",
    "0123456789abcdef0123456789abcdef01234567",
    "a b",
    "release",
    "",
)
_FILES = (
    "catalog-info.yaml",
    "a/b/all.yaml",
    "docs/",
    "",
    "a%20b/x.yaml",
    "ü/é.yaml",
    "blob/main/x.yaml",
    "x.yaml.git",
    "a//b.yaml",
    "*.yaml",
    "**/catalog.yaml",
    "a%2Fb.yaml",
    "50%25.yaml",
    "%7Bx%7D.yaml",
    "a+b.yaml",
    "[x].yaml",
    "%zz.yaml",
    "%2e%2e/x.yaml",
    "%252e%252e/x.yaml",
    "a\\b.yaml",
    "x.yaml/",
    "~x.yaml",
)
_TAILS = (
    "",
    "",
    "",
    "",
    "?a=b",
    "?at=refs%2Fheads%2Fmain",
    "#L3",
    "?a=~*&b=%C3%A9+x",
    "?",
    "#",
    "?ref_type=heads#x",
    "?at=",
)
_TARGETS = (
    "./", "./other.yaml", "other.yaml", "../up.yaml", "../../../../../way/up.yaml", "/root.yaml", "/", "", "./*.yaml",
    "./**/x.yaml", "./a b.yaml", "./x.yaml?y=1", "./x.yaml#f", "https://example.org/z.yaml", "HTTP://Example.ORG",
    "//other.example.com/x.yaml", "file:./x", "./a/../b.yaml", "./%2e%2e/c.yaml", "./é.yaml", "foo:bar", "?q", "#h",
    "\\back\\slash.yaml", "./[x].yaml", "/a?b#c", "./blob/main/x.yaml", " ./sp.yaml ", "/a/../b", "/é/ü.yaml", "./..",
    ".", "..", "/./x", "/%2e%2e/x", "//", "///x", "./a\tb", "http:x", "https:", "https://", "/a//b", "x:y/z", "/a#L1",
    "https://github.com/o/r/blob/main/x.yaml", "https://github.com/o/r/edit/main/d/", "./a/b/../../../c.yaml", "a%", "/a%zz",
)  # fmt: skip
_LINES = (None, None, None, None, 1, 42, 0)


def cases(seed: int, count: int) -> list[Case]:
    random = Random(seed)
    return [_case(random) for _ in range(count)]


def _case(random: Random) -> Case:
    url = _url(random)
    kind = random.choices(("resolve", "edit", "file"), (6, 2, 2))[0]
    if kind == "resolve":
        return [kind, _target(random), url, random.choice(_LINES)]
    return [kind, url]


def _target(random: Random) -> str:
    if random.random() < 0.85:
        return random.choice(_TARGETS)
    return random.choice(("./", "/", "", "../")) + random.choice(_FILES) + random.choice(_TAILS)


def _url(random: Random) -> str:
    url = random.choice(_HOSTS)(random) + random.choice(_TAILS)
    return _broken(random, url) if random.random() < 0.08 else url


def _broken(random: Random, url: str) -> str:
    at = random.randrange(len(url))
    return random.choice(
        (
            url[:at],
            url[:at] + random.choice("/%?#@: \\.~é") + url[at:],
            url[:at] + url[at + 1 :],
            url.upper(),
            url.replace("https", "http"),
            url.replace("https://", "https://user:pw@"),
            url.replace(".com/", ".com:443/"),
            url.replace("/", "//", 4),
        )
    )


def _parts(random: Random) -> tuple[str, str, str, str]:
    depth = random.choice((1, 1, 1, 2, 3, 0))
    owner = "/".join(
        random.choice(_WORDS) if random.random() < 0.3 else random.choice(("o", "Acme", "g")) for _ in range(depth)
    )
    return owner, random.choice(_NAMES), random.choice(_REFS), random.choice(_FILES)


def _github(random: Random) -> str:
    owner, name, ref, file = _parts(random)
    host = random.choice(("github.com", "ghe.example.com:8443", "raw.githubusercontent.com", "GitHub.com"))
    view = random.choice(("blob", "blob", "tree", "edit", "raw", "src", "commit", "issues", ""))
    return f"https://{host}/{owner}/{name}/{view}/{ref}/{file}"


def _gitlab(random: Random) -> str:
    owner, name, ref, file = _parts(random)
    host = random.choice(("gitlab.com", "gitlab.example.com", "git.example.com/lab", "git.example.com"))
    view = random.choice(("-/blob", "-/blob", "-/tree", "-/edit", "-/raw", "blob", "tree", "-", "-/jobs/artifacts"))
    return f"https://{host}/{owner}/{name}/{view}/{ref}/{file}"


def _bitbucket_cloud(random: Random) -> str:
    owner, name, ref, file = _parts(random)
    return f"https://bitbucket.org/{owner}/{name}/{random.choice(('src', 'raw', 'blob', 'browse'))}/{ref}/{file}"


def _bitbucket_server(random: Random) -> str:
    owner, name, _, file = _parts(random)
    kind = random.choice(("projects", "projects", "users", "scm"))
    view = random.choice(("browse", "browse", "raw", "commits", ""))
    return f"https://bb.example.com/{kind}/{owner}/repos/{name}/{view}/{file}"


def _azure(random: Random) -> str:
    owner, name, ref, file = _parts(random)
    host = random.choice(("dev.azure.com", "dev.azure.com", "tfs.example.com:8080", "acme.visualstudio.com"))
    folders = random.choice(("org/proj", "org", "tfs/coll/proj", "proj", owner))
    path = random.choice(("", f"path=/{file}", f"path=%2F{file}", f"path={file}"))
    version = random.choice(("", f"version=GB{ref}", f"version=GT{ref}", f"version=GC{ref}", "version="))
    middle = random.choice(("_git", "_git", "_git", "_apis"))
    return f"https://{host}/{folders}/{middle}/{name}?{'&'.join(filter(None, (path, version)))}"


def _gitea(random: Random) -> str:
    owner, name, ref, file = _parts(random)
    host = random.choice(("gitea.example.com", "tea.example.com/sub", "tea.example.com"))
    return f"https://{host}/{owner}/{name}/src/{random.choice(('branch', 'tag', 'commit'))}/{ref}/{file}"


def _gerrit(random: Random) -> str:
    owner, name, ref, file = _parts(random)
    host = random.choice(
        (
            "gerrit.example.com/gitiles",
            "gerrit.example.com/a/gitiles",
            "review.example.com/plugins/g",
            "root.example.com",
        )
    )
    version = random.choice((f"refs/heads/{ref}", f"refs/heads/{ref}", f"refs/tags/{ref}", ref, "HEAD"))
    return f"https://{host}/{owner}/{name}/+/{version}/{file}"


def _harness(random: Random) -> str:
    _, name, ref, file = _parts(random)
    org = random.choice(("", "/orgs/o", "/orgs/o"))
    project = random.choice(("", "/projects/p", "/projects/repos"))
    view = random.choice(("files", "edit", "files", ""))
    return f"https://app.harness.io/ng/account/acc/module/code{org}{project}/repos/{name}/{view}/{ref}/~/{file}"


def _code_commit(random: Random) -> str:
    _, name, ref, file = _parts(random)
    view = random.choice(("browse", "files/edit"))
    host = "eu-west-1.console.aws.amazon.com"
    return f"https://{host}/codesuite/codecommit/repositories/{name}/{view}/refs/heads/{ref}/--/{file}"


def _other(random: Random) -> str:
    owner, name, ref, file = _parts(random)
    host = random.choice(
        ("example.com", "127.0.0.1:8080", "s3.example.com:9000", "amazonaws.com", "b.s3.amazonaws.com", "storage.cloud.google.com",
         "blob.core.windows.net", "x.visualstudio.com", "ssh.dev.azure.com", "azure.com", "git.cloudforge.com")
    )  # fmt: skip
    scheme = random.choice(("https", "https", "http", "file", "ssh", "git+ssh"))
    return f"{scheme}://{host}/{owner}/{name}/{random.choice(('blob', '-/blob', 'd'))}/{ref}/{file}"


_HOSTS = (
    _github, _github, _github, _gitlab, _gitlab, _bitbucket_cloud, _bitbucket_server, _azure, _gitea, _gerrit, _harness,
    _code_commit, _other,
)  # fmt: skip
