"""The page of licenses, the release workflow, and the stages of .ci/run that build packages."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
yaml: Any = pytest.importorskip("yaml")


def _pinned() -> list[tuple[str, str]]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = [re.match(r"([\w.-]+)==([\w.]+)", line) for line in lines]
    return sorted((pair[1], pair[2]) for pair in pairs if pair)


def test_the_page_of_licenses_has_every_package_of_the_constraints() -> None:
    rows = re.findall(
        r"^\| ([\w.-]+) \| (\d\S*) \| (.+) \|$", (ROOT / "docs" / "licenses.md").read_text(), re.MULTILINE
    )
    assert [(name, version) for name, version, _ in rows] == _pinned()
    assert all(license_.strip() for _, _, license_ in rows)


def test_the_page_of_licenses_equals_the_output_of_its_script(tmp_path: Path) -> None:
    for name in ("constraints.txt", "docs/licenses.md", ".ci/licenses"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    page = (tmp_path / "docs" / "licenses.md").read_bytes()
    subprocess.run([sys.executable, str(tmp_path / ".ci" / "licenses")], check=True)
    assert (tmp_path / "docs" / "licenses.md").read_bytes() == page
    with (tmp_path / "constraints.txt").open("a") as file:
        file.write("no-such-package==1.0\n")
    done = subprocess.run([sys.executable, str(tmp_path / ".ci" / "licenses")], capture_output=True, text=True)
    assert done.returncode == 1
    assert "no license is known for no-such-package==1.0" in done.stderr
    assert (tmp_path / "docs" / "licenses.md").read_bytes() == page


def test_the_release_publishes_the_checked_files_without_a_stored_password() -> None:
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yml").read_text(encoding="utf-8"))["jobs"]
    build, publish = jobs["build"], jobs["publish"]
    assert any(".ci/package" in step.get("run", "") for step in build["steps"])
    assert any("cyclonedx" in step.get("run", "") for step in build["steps"])
    assert publish["needs"] == "build"
    assert publish["permissions"] == {"id-token": "write"}
    assert build["permissions"] == {"contents": "read"}
    assert "secrets." not in (ROOT / ".github" / "workflows" / "release.yml").read_text(encoding="utf-8")
    assert all("run" not in step for step in publish["steps"])


def test_the_constraints_have_every_tool_of_the_extra_package() -> None:
    extra = re.search(r"^package = \[(.*)\]", (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    assert extra is not None
    tools = re.findall(r'"([\w-]+)>=', extra[1])
    assert len(tools) == 4
    assert set(tools) <= {name for name, _ in _pinned()}
