"""Imports go one way, asking costs no runtime, files stay small, and the schemas are those of the code."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = {
    "contracts": set(),
    "targets": {"contracts"},
    "runtime": {"contracts"},
    "converters": {"contracts", "targets", "runtime"},
    "agent": {"contracts", "runtime"},
    "fleet": {"contracts", "targets", "runtime"},
}
OURS = {*PACKAGES, "tools", "tests"}
INFERENCE_RUNTIMES = ("openvino", "onnxruntime", "tensorrt", "tflite_runtime", "ai_edge_litert", "onnx", "torch")
ALLOWED_RUNTIME_MODULES = {
    "runtime.backends.openvino",
    "runtime.backends.quiet_openvino",
    "runtime.backends.onnxruntime",
    "runtime.backends.qnn",
    "runtime.backends.tflite",
}
LONGEST_FILE = 400
LONGEST_FUNCTION = 65  # lines without the docstring


def modules(package: str) -> Iterator[tuple[str, Path]]:
    for path in sorted((ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute here"
            # `from package import module` is an import of the module.
            below = [f"{node.module}.{alias.name}" for alias in node.names]
            found = [name for name in below if (ROOT / (name.replace(".", "/") + ".py")).is_file()]
            yield from found or [node.module or ""]


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_only_those_below_it(package: str) -> None:
    allowed = PACKAGES[package] | {package}
    for name, path in modules(package):
        foreign = {top for found in imported(path) if (top := found.partition(".")[0]) in OURS} - allowed
        assert not foreign, f"{name} imports {sorted(foreign)}; {package} may import only {sorted(allowed)}"


def test_no_module_is_in_a_cycle() -> None:
    graph = {
        name: {found for found in imported(path) if found.partition(".")[0] in PACKAGES and found != name}
        for package in PACKAGES
        for name, path in modules(package)
    }
    done: set[str] = set()

    def visit(name: str, above: tuple[str, ...]) -> None:
        assert name not in above, f"cycle: {' -> '.join([*above[above.index(name) :], name])}"
        if name not in done:
            for found in graph.get(name, ()):
                visit(found, (*above, name))
            done.add(name)

    for name in graph:
        visit(name, ())


@pytest.mark.parametrize("package", ["contracts", "agent", "fleet", "runtime", "targets"])
def test_importing_a_package_pulls_in_no_inference_runtime(package: str) -> None:
    if package == "fleet":  # a box's environment has none of its packages
        pytest.importorskip("sqlalchemy")
    names = [name for name, _ in modules(package) if name not in ALLOWED_RUNTIME_MODULES]
    program = (
        f"import sys, importlib\nfor name in {names!r}: importlib.import_module(name)\n"
        f"print(sorted(set(sys.modules) & set({INFERENCE_RUNTIMES!r})))"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=False)
    assert run.stdout.strip() == "[]", run.stdout + run.stderr


def test_importing_the_agent_pulls_in_nothing_of_the_update_and_provision_extras() -> None:
    """What reads metadata is imported with the first update, what makes keys with the first provisioning."""
    apart = {"agent.update.trust.client", "agent.update.trust.verify", "agent.update.fetch.deadline"}
    apart |= {"agent.provisioning.keys", "agent.provisioning.provision"}
    names = [name for name, _ in modules("agent") if name not in apart]
    program = (
        f"import sys, importlib\nfor name in {names!r}: importlib.import_module(name)\n"
        "print(sorted(set(sys.modules) & {'tuf', 'securesystemslib', 'urllib3', 'cryptography'}))"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=False)
    assert run.stdout.strip() == "[]", run.stdout + run.stderr


def test_openvino_is_imported_in_the_one_place_that_turns_its_telemetry_off() -> None:
    importers = {
        name
        for package in PACKAGES
        for name, path in modules(package)
        if any(found.partition(".")[0] == "openvino" for found in imported(path))
    }
    assert importers == {"runtime.backends.quiet_openvino"}


@pytest.mark.parametrize("package", PACKAGES)
def test_files_and_functions_stay_small(package: str) -> None:
    for name, path in modules(package):
        text = path.read_text()
        assert text.count("\n") <= LONGEST_FILE, f"{name} has {text.count(chr(10))} lines; split it"
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = _length(node)
                assert lines <= LONGEST_FUNCTION, f"{name}.{node.name} has {lines} lines; split it"


def _length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    first = node.body[1] if ast.get_docstring(node) and len(node.body) > 1 else node.body[0]
    return (node.end_lineno or 0) - first.lineno + 1


def test_the_schemas_in_docs_are_those_of_the_contracts() -> None:
    from tools.schema import schemas

    for name, text in schemas().items():
        path = ROOT / "docs/schema" / name
        assert path.is_file(), f"{path.name} is missing; run make schema"
        assert path.read_text() == text, f"{path.name} is old; run make schema"


def test_no_lock_file_records_a_download_address() -> None:
    for path in (ROOT / "requirements").glob("*.txt"):
        assert "://" not in path.read_text(), f"{path.name} holds an address; lock versions and hashes only"
