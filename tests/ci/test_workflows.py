"""The actions, the workflows and the template for GitLab: valid by the schemas of their hosts, and safe by zizmor."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

yaml = pytest.importorskip("yaml")
ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "comments.md").read_text(encoding="utf-8")
ACTIONS = ("action.yml", "comment/action.yml")
WORKFLOWS = ("examples/github/gate.yml", "examples/github/gate-comment.yml", ".github/workflows/ci.yml")
COMMIT = "0123456789abcdef0123456789abcdef01234567"
TEMPLATE = (ROOT / "templates" / "fdabench.yml").read_text(encoding="utf-8")


def check(schema: str, path: Path, *options: str) -> None:
    pytest.importorskip("check_jsonschema", reason="check-jsonschema is not installed")
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, *options, str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def workflow(name: str) -> dict[Any, Any]:
    content: dict[Any, Any] = yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))
    return content


def gitlab_job(**inputs: str) -> tuple[str, dict[str, Any]]:
    """The name and the job of the template, with its inputs in their places as GitLab puts them."""
    header, job = TEMPLATE.split("\n---\n")
    reference = yaml.safe_load(header)["spec"]["inputs"]
    assert inputs.keys() <= reference.keys()
    values = {name: inputs.get(name, (about or {}).get("default")) for name, about in reference.items()}
    text = re.sub(r"\$\[\[ inputs\.(\w+) \]\]", lambda actual: str(values[actual[1]]), job)
    ((name, content),) = yaml.safe_load(text).items()
    return name, content


@pytest.mark.parametrize("name", ACTIONS)
def test_an_action_is_valid(name: str) -> None:
    check("vendor.github-actions", ROOT / name)


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_is_valid(name: str) -> None:
    check("vendor.github-workflows", ROOT / name)


def test_the_template_for_gitlab_is_valid_with_its_inputs(tmp_path: Path) -> None:
    name, job = gitlab_job(suite="gate.toml", package="git+https://example.org/fdabench@abc", job="bytes")
    path = tmp_path / ".gitlab-ci.yml"
    path.write_text(yaml.safe_dump({name: job}), encoding="utf-8")
    check("vendor.gitlab-ci", path, "--data-transform", "gitlab-ci")
    assert name == "bytes"
    assert job["variables"]["SUITE"] == "gate.toml"
    assert "$[[" not in path.read_text(encoding="utf-8")


def test_zizmor_reports_no_finding(tmp_path: Path) -> None:
    program = shutil.which("zizmor", path=Path(sys.executable).parent)
    if program is None:
        pytest.skip("zizmor is not installed beside this Python")
    for name in (*ACTIONS, *WORKFLOWS):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text((ROOT / name).read_text(encoding="utf-8").replace("@COMMIT", f"@{COMMIT}"), encoding="utf-8")
    command = [program, "--offline", "--no-progress", "--config", str(ROOT / ".github" / "zizmor.yml"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout


def test_the_workflow_that_runs_code_of_forks_has_no_write_permission() -> None:
    gate = workflow("examples/github/gate.yml")
    assert gate["permissions"] == {"contents": "read"}
    assert gate[True] == ["pull_request"]  # YAML 1.1 reads the key `on` as true


def test_the_workflow_with_write_permission_runs_no_code_of_forks() -> None:
    posting = workflow("examples/github/gate-comment.yml")
    assert posting["permissions"] == {}
    (job,) = posting["jobs"].values()
    assert [step["uses"].split("@")[0] for step in job["steps"]] == ["OWNER/fdabench/comment"]
    assert posting[True]["workflow_run"]["workflows"] == [workflow("examples/github/gate.yml")["name"]]


def test_the_artifact_has_one_name_in_both_actions() -> None:
    stored, fetched = (workflow(name)["runs"]["steps"] for name in ACTIONS)
    assert [step["with"]["name"] for step in stored if "upload-artifact" in step.get("uses", "")] == [
        "fdabench-comment"
    ]
    assert [step["with"]["name"] for step in fetched if "download" in step.get("uses", "")] == ["fdabench-comment"]


@pytest.mark.parametrize("name", ["gate.yml", "gate-comment.yml"])
def test_the_page_shows_the_workflows(name: str) -> None:
    blocks = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert (ROOT / "examples" / "github" / name).read_text(encoding="utf-8") in blocks
