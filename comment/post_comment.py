"""Posts the comment of a gate on its pull request: `python3 post_comment.py FILE NAME changes|always`.

It runs in a workflow with the event `workflow_run`.
Everything that the first workflow made may come from a fork, so nothing of it is run and only the text of FILE is used.
The pull request is found from what the event says of the run, never from a file. The program needs Python's standard
library only. The variables GITHUB_API_URL, GITHUB_REPOSITORY, GITHUB_EVENT_PATH, GITHUB_TOKEN and GITHUB_OUTPUT are
those of a runner.
"""

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote, urlencode
from urllib.request import Request, urlopen

UNCHANGED = "<!-- fdabench check: unchanged -->"
LONGEST = 65_000
"""Characters of a comment; GitHub rejects more than 65,536."""
PER_PAGE = 100
CHOICES = ("changes", "always")
"""When a new comment is posted: only if something changed, or also if nothing did."""


class Api:
    """The part of GitHub's REST API that posts comments, for one repository."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._root = f"{environment['GITHUB_API_URL']}/repos/{environment['GITHUB_REPOSITORY']}"
        self._headers = {
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {environment['GITHUB_TOKEN']}",
            "X-GitHub-Api-Version": "2022-11-28",
        }

    def pull_request(self, run: Mapping[str, Any]) -> int | None:
        """The number of the open pull request whose last commit the run was of; None if there is none any more."""
        head = f"{run['head_repository']['owner']['login']}:{run['head_branch']}"
        found = self._call("GET", "/pulls?" + urlencode({"state": "open", "head": head, "per_page": PER_PAGE}))
        return next((pull["number"] for pull in found if pull["head"]["sha"] == run["head_sha"]), None)

    def own_comment(self, number: int, marker: str) -> Mapping[str, Any] | None:
        """The comment on a pull request that an earlier run posted: by a bot, with the marker in its first line."""
        for comment in self._comments(number):
            if comment["user"]["type"] == "Bot" and comment["body"].startswith(marker):
                return comment
        return None

    def create(self, number: int, body: str) -> str:
        """Post a comment; its address."""
        posted = self._call("POST", f"/issues/{number}/comments", {"body": body})
        address: str = posted["html_url"]
        return address

    def update(self, comment: Mapping[str, Any], body: str) -> str:
        """Replace the text of a comment; its address."""
        posted = self._call("PATCH", f"/issues/comments/{comment['id']}", {"body": body})
        address: str = posted["html_url"]
        return address

    def _comments(self, number: int) -> Iterator[Mapping[str, Any]]:
        page = 1
        while found := self._call("GET", f"/issues/{number}/comments?per_page={PER_PAGE}&page={page}"):
            yield from found
            page += 1

    def _call(self, method: str, path: str, content: Mapping[str, str] | None = None) -> Any:
        data = None if content is None else json.dumps(content).encode()
        with urlopen(Request(self._root + path, data, self._headers, method=method), timeout=30) as answer:
            return json.load(answer)


def read_artifact(path: Path) -> str:
    """The text of a file that a fork may have written.

    Raises:
        OSError: the file cannot be read, or is a symbolic link, which may lead to any file of the runner.
    """
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), encoding="utf-8", errors="replace") as file:
        return file.read(LONGEST + 1)


def comment_body(text: str, marker: str) -> str:
    """The comment: the marker, then the text without mentions and without markers, cut to what GitHub accepts.

    Args:
        text: the text of the artifact.
        marker: the first line, by which the comment is found again.
    """
    if len(text) > LONGEST:
        text = f"{text[:LONGEST]}\n\n(cut; the summary of the job has all)"
    text = re.sub(r"<!--.*?(?:-->|\Z)", "", text, flags=re.DOTALL)
    text = re.sub(r"@(?=\w)", "@\u200b", text)
    return f"{marker}\n{text.strip()}\n"


def post(path: Path, name: str, when: str, environment: Mapping[str, str]) -> str:
    """Post, replace or leave the comment; what was done, in a sentence.

    A comment that is there is always replaced, so that it is never out of date.

    Args:
        path: the file of the artifact.
        name: tells the comments of several gates apart.
        when: one of `CHOICES`: whether a new comment needs a change.
        environment: the variables of the runner.

    Raises:
        ValueError: `when` is none of them.
    """
    if when not in CHOICES:
        raise ValueError(f"comment: {when!r} is unknown; allowed: {', '.join(CHOICES)}")
    run = json.loads(Path(environment["GITHUB_EVENT_PATH"]).read_text(encoding="utf-8"))["workflow_run"]
    if run["event"] != "pull_request":
        return f"no comment: the workflow ran because of {run['event']}, which has no pull request"
    api = Api(environment)
    number = api.pull_request(run)
    if number is None:
        return f"no comment: no open pull request has {run['head_sha']} as its last commit"
    marker = f"<!-- fdabench gate: {quote(name)} -->"
    text, earlier = read_artifact(path), api.own_comment(number, marker)
    body = comment_body(text, marker)
    if when == "changes" and earlier is None and text.rstrip().endswith(UNCHANGED):
        return "no comment: nothing changed"
    if earlier is not None and earlier["body"].strip() == body.strip():
        return f"the comment is up to date: {earlier['html_url']}"
    address = api.create(number, body) if earlier is None else api.update(earlier, body)
    with Path(environment["GITHUB_OUTPUT"]).open("a", encoding="utf-8") as output:
        output.write(f"url={address}\n")
    return f"{'posted' if earlier is None else 'replaced'}: {address}"


def main() -> int:
    """Post the comment that the command line names. Exit: 0, or 1 with the reason."""
    try:
        print(post(Path(sys.argv[1]), sys.argv[2], sys.argv[3], os.environ))
    except HTTPError as error:
        hint = "; the workflow needs `permissions: pull-requests: write`" if error.code == 403 else ""
        print(f"::error::GitHub answered {error.code} {error.reason} to {error.url}{hint}")
        return 1
    except (OSError, ValueError) as error:
        print(f"::error::{error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
