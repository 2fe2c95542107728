"""The two sources of plug-ins, files that a suite names and installed packages, and the import of their code.

No other module of fdabench imports the code of plug-ins.
"""

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
    """A plug-in file that a suite names."""

    declared_in: str
    """The place in the suite that names it."""
    path: Path
    content: bytes
    """Read once. This and every worker process hash and run it, so a later change of the file has no effect."""

    @property
    def name(self) -> str:
        """The name of the plug-in in `fdabench list`, lock files and records."""
        return self.path.name

    def import_plugin(self) -> ModuleType:
        """Run the file as a module, once in a process, and return the module.

        Output of its `print` calls goes to stderr, because stdout contains results. No bytecode file is written.
        """
        digest = hashlib.sha256(self.path.as_posix().encode() + b"\0" + self.content).hexdigest()[:16]
        name = f"fdabench_plugin_{digest}"
        if name in sys.modules:
            return sys.modules[name]
        module = ModuleType(name)
        module.__file__ = str(self.path)
        sys.modules[name] = module  # `dataclass` looks up annotations in the module of the class
        try:
            with redirect_stdout(sys.stderr):
                exec(compile(self.content, str(self.path), "exec", dont_inherit=True), module.__dict__)
        except BaseException:
            del sys.modules[name]
            raise
        return module

    def source_files(self, module: ModuleType) -> Mapping[str, bytes]:
        """The contents of the plug-in's files, by their name in records."""
        return {f"plug-in {self.name}": self.content}


@dataclass(frozen=True)
class EntryPointPlugin:
    """An entry point of an installed package, in the group `fdabench.plugins`."""

    declared_in: str
    """The name and version of the package."""
    name: str
    value: str

    @property
    def path(self) -> Path:
        """The file of its module if it was imported, and otherwise the module's name."""
        module = sys.modules.get(self.value)
        return Path(getattr(module, "__file__", None) or self.value)

    def import_plugin(self) -> ModuleType:
        """Import the module that the entry point names; output goes to stderr, as for a file.

        Raises:
            TypeError: the entry point does not name a module.
        """
        with redirect_stdout(sys.stderr):
            module = EntryPoint(self.name, self.value, GROUP).load()
        if not isinstance(module, ModuleType):
            raise TypeError(f"the entry point {self.name} = {self.value!r} must name a module")
        return module

    def source_files(self, module: ModuleType) -> Mapping[str, bytes]:
        """The contents of the module's file, or of all Python files if it is a package, by their name in records."""
        path = Path(str(module.__file__))
        paths = sorted(path.parent.rglob("*.py")) if path.name == "__init__.py" else [path]
        root = path.parent.parent if path.name == "__init__.py" else path.parent
        return {f"plug-in {file.relative_to(root).as_posix()}": file.read_bytes() for file in paths}


PluginSource = FilePlugin | EntryPointPlugin


def installed_plugins() -> tuple[EntryPointPlugin, ...]:
    """The plug-ins of installed packages, sorted by name. Their code is not imported."""
    entries = sorted(entry_points(group=GROUP), key=lambda entry: (entry.name, entry.value))
    return tuple(EntryPointPlugin(_package(entry), entry.name, entry.value) for entry in entries)


def _package(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist is not None else "an installed package"
