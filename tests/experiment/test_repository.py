"""Recorded git revisions: of fdabench for every kind of installation, and of the repository of a suite."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from fdabench.experiment import git as repository
from fdabench.experiment.git import is_tracked, package_revision, revision_at

ROOT = Path(repository.__file__).parents[2]


def git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "init.defaultBranch=main")
    command = ["git", *who, "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """A repository with one committed file."""
    git(tmp_path, "init")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.toml").write_text("1")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "one")
    return tmp_path


def test_a_revision_states_whether_tracked_files_differ(repo: Path) -> None:
    commit = git(repo, "rev-parse", "HEAD")
    assert commit.startswith(revision_at(repo / "sub"))
    assert len(revision_at(repo)) >= 7
    (repo / "new.toml").write_text("2")
    assert not revision_at(repo).endswith("+"), "results and notes beside the suite are no difference"
    (repo / "sub" / "a.toml").write_text("2")
    assert revision_at(repo / "sub") == f"{git(repo, 'rev-parse', '--short', 'HEAD')}+"


def test_outside_a_repository_and_without_git_there_is_no_revision(
    repo: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert revision_at(tmp_path_factory.mktemp("plain")) == ""
    assert is_tracked(repo / "sub")
    monkeypatch.setenv("PATH", "")
    assert revision_at(repo) == ""
    assert not is_tracked(repo / "sub")


def test_a_folder_with_added_files_is_tracked(repo: Path) -> None:
    (repo / "mine").mkdir()
    (repo / "mine" / "b").write_text("")
    assert [is_tracked(repo / name) for name in ("sub", "mine", "nowhere")] == [True, False, False]
    git(repo, "add", "mine")
    assert is_tracked(repo / "mine")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in place of that of the package."""
    package = tmp_path / "fdabench"
    package.mkdir(exist_ok=True)
    monkeypatch.setattr(repository, "PACKAGE", package)
    package_revision.cache_clear()
    yield package
    package_revision.cache_clear()


def test_an_installed_package_has_the_revision_of_its_build(package: Path) -> None:
    assert package_revision() == ""
    package_revision.cache_clear()
    (package / "revision.txt").write_text("abcdef0+\n")
    assert package_revision() == "abcdef0+"


def test_a_checkout_has_its_own_revision_and_a_new_file_of_the_package_is_a_difference(
    repo: Path, package: Path
) -> None:
    (package / "revision.txt").write_text("0123456")
    (repo / ".gitignore").write_text("revision.txt\n")
    clean = git(repo, "rev-parse", "--short", "HEAD")
    assert package_revision() == clean
    package_revision.cache_clear()
    (package / "new.py").write_text("")
    assert package_revision() == f"{clean}+"


@pytest.mark.slow
def test_a_wheel_and_a_source_archive_contain_the_revision_of_their_build(tmp_path: Path) -> None:
    pytest.importorskip("hatchling")
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", str(ROOT), str(clone))
    for name in ("hatch_build.py", "pyproject.toml"):
        (clone / name).write_bytes((ROOT / name).read_bytes())
    git(clone, "add", ".")
    git(clone, "commit", "--quiet", "--allow-empty", "-m", "as it is here")
    revision = git(clone, "rev-parse", "--short", "HEAD")
    assert built(clone, tmp_path / "clean") == revision
    (clone / "README.md").write_text("other")
    assert built(clone, tmp_path / "dirty") == f"{revision}+"
    git(clone, "checkout", "--quiet", "README.md")
    (clone / "fdabench" / "new.py").write_text("")
    assert built(clone, tmp_path / "new") == f"{revision}+"
    (clone / "fdabench" / "new.py").unlink()
    hatch(clone, "sdist", tmp_path / "archive")
    (archive,) = (tmp_path / "archive").glob("*.tar.gz")
    subprocess.run(["tar", "-xzf", str(archive), "-C", str(tmp_path / "archive")], check=True)
    (source,) = (path for path in (tmp_path / "archive").iterdir() if path.is_dir())
    assert built(source, tmp_path / "again") == revision
    assert installed_says(tmp_path / "clean") == revision


def hatch(source: Path, target: str, out: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(out)]
    subprocess.run(command, cwd=source, check=True, capture_output=True)


def built(source: Path, out: Path) -> str:
    """The revision in the wheel of this source, which is unpacked into `site` in `out`."""
    hatch(source, "wheel", out)
    (wheel,) = out.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(out / "site")
    return (out / "site" / "fdabench" / "revision.txt").read_text().strip()


def installed_says(out: Path) -> str:
    output = "from fdabench.experiment.git import own_revision as r, PACKAGE as p; print(p); print(r())"
    environment = {**os.environ, "PYTHONPATH": str(out / "site")}
    done = subprocess.run(
        [sys.executable, "-c", output], cwd=out, env=environment, capture_output=True, text=True, check=True
    )
    where, revision = done.stdout.splitlines()
    assert Path(where) == out / "site" / "fdabench"
    return revision
