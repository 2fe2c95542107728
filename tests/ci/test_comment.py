"""`comment/post_comment.py` against a local server with GitHub's API: which comments it posts and replaces."""

import json
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

PROGRAM = Path(__file__).parents[2] / "comment" / "post_comment.py"
REPOSITORY = "owner/project"
CHANGED = "### fdabench: 6 runs compared: fail\n\n- fedavg: +8 % bytes\n"
UNCHANGED = "### fdabench: 6 runs compared: pass\n\n<!-- fdabench check: unchanged -->\n"
MARKER = "<!-- fdabench gate: gate -->"


class GitHub(ThreadingHTTPServer):
    """The answers of the API for one pull request of a fork."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.pulls: list[dict[str, Any]] = [{"number": 7, "head": {"sha": "abc", "label": "fork:topic"}}]
        self.comments: list[dict[str, Any]] = []
        self.writes: list[str] = []
        self.may_write = True


class Handler(BaseHTTPRequestHandler):
    """Handles the requests of the program; any other request gets 404, and one without a token 401."""

    server: GitHub

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        query = {key: value[0] for key, value in parse_qs(address.query).items()}
        if address.path == f"/repos/{REPOSITORY}/pulls":
            self.answer(200, [pull for pull in self.server.pulls if pull["head"]["label"] == query["head"]])
        elif address.path == f"/repos/{REPOSITORY}/issues/7/comments":
            first = (int(query["page"]) - 1) * int(query["per_page"])
            self.answer(200, self.server.comments[first : first + int(query["per_page"])])
        else:
            self.answer(404, {})

    def do_POST(self) -> None:
        assert self.path == f"/repos/{REPOSITORY}/issues/7/comments"
        self.write(comment(self.content(), len(self.server.comments) + 1))

    def do_PATCH(self) -> None:
        number = int(self.path.removeprefix(f"/repos/{REPOSITORY}/issues/comments/"))
        self.write(comment(self.content(), number))

    def content(self) -> str:
        body: str = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["body"]
        return body

    def write(self, written: dict[str, Any]) -> None:
        if not self.server.may_write:
            self.answer(403, {"message": "Resource not accessible by integration"})
            return
        self.server.comments = [item for item in self.server.comments if item["id"] != written["id"]] + [written]
        self.server.writes.append(self.command)
        self.answer(201 if self.command == "POST" else 200, written)

    def answer(self, code: int, content: Any) -> None:
        code = code if self.headers["Authorization"] == "Bearer token" else 401
        self.send_response(code)
        self.end_headers()
        self.wfile.write(json.dumps(content).encode())

    def log_message(self, format: str, *arguments: Any) -> None:
        """Print nothing."""


def comment(body: str, number: int, kind: str = "Bot") -> dict[str, Any]:
    return {"id": number, "body": body, "user": {"type": kind}, "html_url": f"https://example.org/comment/{number}"}


@pytest.fixture
def github() -> Iterator[GitHub]:
    server = GitHub()
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def post(
    github: GitHub, folder: Path, text: str, run: dict[str, Any] | None = None, when: str = "changes"
) -> subprocess.CompletedProcess[str]:
    """Run the program as the action does."""
    (folder / "comment.md").write_text(text, encoding="utf-8")
    event = {
        "event": "pull_request",
        "head_sha": "abc",
        "head_branch": "topic",
        "head_repository": {"owner": {"login": "fork"}},
        **(run or {}),
    }
    (folder / "event.json").write_text(json.dumps({"workflow_run": event}), encoding="utf-8")
    environment = {
        "GITHUB_API_URL": f"http://127.0.0.1:{github.server_port}",
        "GITHUB_REPOSITORY": REPOSITORY,
        "GITHUB_TOKEN": "token",
        "GITHUB_EVENT_PATH": str(folder / "event.json"),
        "GITHUB_OUTPUT": str(folder / "output"),
    }
    command = [sys.executable, str(PROGRAM), str(folder / "comment.md"), "gate", when]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)


def test_a_change_is_posted_and_the_next_run_replaces_it(github: GitHub, tmp_path: Path) -> None:
    done = post(github, tmp_path, CHANGED)
    assert (done.returncode, done.stdout) == (0, "posted: https://example.org/comment/1\n")
    assert github.comments[0]["body"] == f"{MARKER}\n{CHANGED}"
    assert post(github, tmp_path, CHANGED).stdout.startswith("the comment is up to date")
    assert post(github, tmp_path, UNCHANGED).stdout.startswith("replaced: ")
    assert github.writes == ["POST", "PATCH"]
    assert [item["body"] for item in github.comments] == [f"{MARKER}\n### fdabench: 6 runs compared: pass\n"]
    assert (tmp_path / "output").read_text(encoding="utf-8") == "url=https://example.org/comment/1\n" * 2


def test_nothing_is_posted_when_nothing_changed(github: GitHub, tmp_path: Path) -> None:
    assert post(github, tmp_path, UNCHANGED).stdout == "no comment: nothing changed\n"
    assert github.writes == []


def test_the_choice_always_posts_and_replaces_a_comment_when_nothing_changed(github: GitHub, tmp_path: Path) -> None:
    assert post(github, tmp_path, UNCHANGED, when="always").stdout == "posted: https://example.org/comment/1\n"
    assert post(github, tmp_path, UNCHANGED, when="always").stdout.startswith("the comment is up to date")
    assert post(github, tmp_path, CHANGED, when="always").stdout.startswith("replaced: ")
    assert github.writes == ["POST", "PATCH"]


def test_an_unknown_choice_is_refused_before_any_request(github: GitHub, tmp_path: Path) -> None:
    done = post(github, tmp_path, CHANGED, when="change")
    assert (done.returncode, done.stdout) == (1, "::error::comment: 'change' is unknown; allowed: changes, always\n")
    assert github.writes == []


@pytest.mark.parametrize(
    ("run", "reason"),
    [
        ({"head_sha": "older"}, "no open pull request has older as its last commit"),
        ({"head_branch": "other"}, "no open pull request has abc as its last commit"),
        ({"event": "push"}, "the workflow ran because of push, which has no pull request"),
    ],
)
def test_a_run_without_an_open_pull_request_posts_nothing(
    run: dict[str, Any], reason: str, github: GitHub, tmp_path: Path
) -> None:
    done = post(github, tmp_path, CHANGED, run)
    assert (done.returncode, done.stdout) == (0, f"no comment: {reason}\n")
    assert github.writes == []


def test_the_previous_comment_is_found_after_a_hundred_others(github: GitHub, tmp_path: Path) -> None:
    github.comments = [comment(f"comment {number}", number, "User") for number in range(1, 151)]
    github.comments += [comment(f"{MARKER}\nold", 151)]
    assert post(github, tmp_path, CHANGED).stdout == "replaced: https://example.org/comment/151\n"


def test_a_comment_of_another_author_is_not_replaced(github: GitHub, tmp_path: Path) -> None:
    """A person may write the marker; only a bot's comment is one's own. Another gate's is another's."""
    github.comments = [comment(f"{MARKER}\nmine", 1, "User"), comment("<!-- fdabench gate: other -->\nx", 2)]
    assert post(github, tmp_path, CHANGED).stdout == "posted: https://example.org/comment/3\n"


def test_text_from_a_fork_mentions_no_user_and_is_truncated(github: GitHub, tmp_path: Path) -> None:
    post(github, tmp_path, f"@everyone <!-- fdabench gate: other --> {'x' * 70_000}")
    (posted,) = github.comments
    assert "@everyone" not in posted["body"]
    assert "gate: other" not in posted["body"]
    assert 65_000 < len(posted["body"]) < 65_536


def test_a_link_in_place_of_the_comment_is_refused(github: GitHub, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret", encoding="utf-8")
    (tmp_path / "comment.md").symlink_to(tmp_path / "secret")
    done = post(github, tmp_path, CHANGED)
    assert done.returncode == 1
    assert done.stdout.startswith("::error::")
    assert github.writes == []


def test_a_token_without_write_permission_is_reported_with_that_permission(github: GitHub, tmp_path: Path) -> None:
    github.may_write = False
    done = post(github, tmp_path, CHANGED)
    assert done.returncode == 1
    assert "GitHub answered 403" in done.stdout
    assert "permissions: pull-requests: write" in done.stdout
    assert "Traceback" not in done.stderr
