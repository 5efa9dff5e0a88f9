"""publish:git: what a template has made becomes a repository that others can clone, with no vendor in between."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from greenroom.errors import InputError
from greenroom.plugin import Action, ActionContext, Example, action
from greenroom_plugins.git.commits import Author, Commit
from greenroom_plugins.git.publishing import Publisher

_INPUT: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "repoUrl": {
            "type": "string",
            "description": "Accepts the format `git.example.com?owner=team&repo=name`, where the host is one of "
            "`scaffolder.publishGit` or of `integrations`. In a configured folder, the repository is made",
        },
        "remoteUrl": {
            "type": "string",
            "description": "A clone URL, by https or ssh, instead of `repoUrl`",
        },
        "description": {"type": "string", "description": "Repository Description"},
        "defaultBranch": {
            "type": "string",
            "description": "The branch that is published, and the default one of a new repository. The default value is 'master'",
        },
        "gitCommitMessage": {
            "type": "string",
            "description": "Sets the commit message on the repository. The default value is `initial commit`",
        },
        "gitAuthorName": {
            "type": "string",
            "description": "Sets the author name for the commit. The default value is `Scaffolder`",
        },
        "gitAuthorEmail": {"type": "string", "description": "Sets the author email for the commit."},
        "sourcePath": {
            "type": "string",
            "description": "Path within the workspace that will be used as the repository root. If omitted, the entire "
            "workspace will be published as the repository.",
        },
        "token": {"type": "string", "description": "The token to use for authorization to the Git host"},
        "allowExisting": {
            "type": "boolean",
            "description": "Publish on top of what the repository has already: its branch then has the files that were made, "
            "and no others. Otherwise a repository that has something else in it is refused",
        },
    },
    "additionalProperties": False,
}
_OUTPUT: Mapping[str, Any] = {
    "type": "object",
    "required": ["remoteUrl", "repoContentsUrl", "commitHash"],
    "properties": {
        "remoteUrl": {"type": "string", "description": "A URL to the repository with the provider"},
        "repoContentsUrl": {"type": "string", "description": "A URL to the root of the repository"},
        "commitHash": {"type": "string", "description": "The git commit hash of the initial commit"},
    },
    "additionalProperties": False,
}
_EXAMPLES = (
    Example(
        "Make a repository of all that is in the workspace",
        "steps:\n  - id: publish\n    action: publish:git\n    name: Publish\n    input:\n"
        "      repoUrl: git.example.com?owner=team&repo=shop\n      defaultBranch: main\n",
    ),
    Example(
        "Push a folder of the workspace to an empty repository, with the user's own token",
        "steps:\n  - id: publish\n    action: publish:git\n    name: Publish\n    input:\n"
        "      remoteUrl: https://git.example.com/team/shop.git\n      sourcePath: ./service\n"
        "      token: ${{ secrets.USER_OAUTH_TOKEN }}\n",
    ),
)


class Publication(msgspec.Struct, frozen=True, rename="camel"):
    """What a template says of it."""

    repo_url: str | None = None
    remote_url: str | None = None
    description: str = ""
    default_branch: str = "master"
    git_commit_message: str | None = None
    git_author_name: str | None = None
    git_author_email: str | None = None
    source_path: str | None = None
    token: str | None = None
    allow_existing: bool = False


class Words(msgspec.Struct, frozen=True):
    """What config has for templates that do not say: `scaffolder.defaultAuthor`, `scaffolder.defaultCommitMessage`."""

    author: Author = Author()
    message: str = ""


def publish_action(publisher: Publisher, words: Words) -> Action[Publication]:
    """`publish:git`, with upstream's outputs."""

    @action("publish:git", idempotent=True, examples=_EXAMPLES, input_schema=_INPUT, output_schema=_OUTPUT)
    async def publish(ctx: ActionContext[Publication]) -> Mapping[str, Any]:
        """Makes a Git repository of the files in the workspace, in a folder of this machine or on any Git host."""
        told = ctx.input
        if bool(told.repo_url) == bool(told.remote_url):
            raise InputError("publish:git needs a repoUrl or a remoteUrl, and not both")
        if told.repo_url:
            target = publisher.by_repo_url(told.repo_url, told.token)
        else:
            target = publisher.by_remote_url(told.remote_url or "", told.token)
        # The moment is part of the commit: remembered, so that the step makes the same one when it is run again.
        at = await ctx.checkpoint("publish:git", _now)
        author = Author(told.git_author_name or words.author.name, told.git_author_email or words.author.email)
        message = told.git_commit_message or words.message or "initial commit"
        commit = Commit(told.default_branch, message, author, datetime.fromtimestamp(at, UTC))
        folder = ctx.inside(_below(told.source_path))
        if not folder.is_dir():
            raise InputError(f"The workspace has no folder {told.source_path} to publish")
        ctx.log.info(f"Publishing to {target.url}")
        done = await publisher.publish(
            folder, target, commit, description=told.description, onto_existing=told.allow_existing
        )
        ctx.log.info(f"Published {done.files} files as commit {done.commit[:12]} of {commit.branch}")
        return {"remoteUrl": done.remote_url, "repoContentsUrl": done.contents_url, "commitHash": done.commit}

    return publish


async def _now() -> int:
    return int(datetime.now(UTC).timestamp())


def _below(source_path: str | None) -> str:
    """As upstream reads it: what leads up at its beginning counts for nothing (getRepoSourceDirectory)."""
    path = posixpath.normpath(source_path or ".").replace("\\", "/").lstrip("/")
    while path == ".." or path.startswith("../"):
        path = path[3:]
    return path or "."
