"""The two sources of plug-ins, files that a suite names and installed packages, and the import of their code."""

import hashlib
import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType

GROUP = "fdabench.plugins"
MOST_BYTES = 1_000_000


@dataclass(frozen=True)
class FilePlugin:
    """A file that a suite names. `content` is read once: it is what is hashed and run, here and in every process."""

    where: str
    """The place in the suite that names it."""
    path: Path
    content: bytes

    @property
    def name(self) -> str:
        """The name of the plug-in in lists, locks and records."""
        return self.path.name

    def import_plugin(self) -> ModuleType:
        """Its module; what it prints goes to stderr, as stdout carries results. Nothing is written beside it."""
        digest = hashlib.sha256(self.path.as_posix().encode() + b"\0" + self.content).hexdigest()[:16]
        name = f"fdabench_plugin_{digest}"
        if name in sys.modules:
            return sys.modules[name]
        module = ModuleType(name)
        module.__file__ = str(self.path)
        sys.modules[name] = module  # dataclasses look for their annotations there
        try:
            with redirect_stdout(sys.stderr):
                exec(compile(self.content, str(self.path), "exec", dont_inherit=True), module.__dict__)
        except BaseException:
            del sys.modules[name]
            raise
        return module

    def source_files(self, module: ModuleType) -> Mapping[str, bytes]:
        """The files that it consists of, by how records speak of them."""
        return {f"plug-in {self.name}": self.content}


@dataclass(frozen=True)
class EntryPointPlugin:
    """An entry point of an installed package, in the group `fdabench.plugins`."""

    where: str
    """The package and its version."""
    name: str
    value: str

    @property
    def path(self) -> Path:
        """The file of its module if it was imported, and otherwise the module's name."""
        module = sys.modules.get(self.value)
        return Path(getattr(module, "__file__", None) or self.value)

    def import_plugin(self) -> ModuleType:
        with redirect_stdout(sys.stderr):
            module = EntryPoint(self.name, self.value, GROUP).load()
        if not isinstance(module, ModuleType):
            raise TypeError(f"the entry point {self.name} = {self.value!r} must name a module")
        return module

    def source_files(self, module: ModuleType) -> Mapping[str, bytes]:
        """A module's file, or every file of a package."""
        path = Path(str(module.__file__))
        paths = sorted(path.parent.rglob("*.py")) if path.name == "__init__.py" else [path]
        root = path.parent.parent if path.name == "__init__.py" else path.parent
        return {f"plug-in {each.relative_to(root).as_posix()}": each.read_bytes() for each in paths}


PluginSource = FilePlugin | EntryPointPlugin


def installed_plugins() -> tuple[EntryPointPlugin, ...]:
    """The plug-ins of installed packages, by name; none of them is run."""
    found = sorted(entry_points(group=GROUP), key=lambda entry: (entry.name, entry.value))
    return tuple(EntryPointPlugin(_package(entry), entry.name, entry.value) for entry in found)


def _package(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist is not None else "an installed package"
