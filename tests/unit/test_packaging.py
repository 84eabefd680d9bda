"""What pyproject.toml promises: which ONNX Runtime each platform gets, groups, typed packages."""

import tomllib
from typing import Any

import pytest
from packaging.requirements import Requirement

from tests.support.paths import ROOT

PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]

LINUX = {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix"}
MACOS = {"sys_platform": "darwin", "platform_system": "Darwin", "os_name": "posix"}
WINDOWS = {"sys_platform": "win32", "platform_system": "Windows", "os_name": "nt"}
PLATFORMS = {
    "linux x86-64": ({**LINUX, "platform_machine": "x86_64"}, "onnxruntime-gpu"),
    "linux arm": ({**LINUX, "platform_machine": "aarch64"}, "onnxruntime"),
    "macos arm": ({**MACOS, "platform_machine": "arm64"}, "onnxruntime"),
    "macos intel": ({**MACOS, "platform_machine": "x86_64"}, "onnxruntime"),  # has no wheel now
    "windows x86-64": ({**WINDOWS, "platform_machine": "AMD64"}, "onnxruntime-gpu"),
    "windows arm": ({**WINDOWS, "platform_machine": "ARM64"}, "onnxruntime"),
}


def names(requirements: list[str], platform: dict[str, str]) -> list[str]:
    """The distributions that a platform gets of some requirements."""
    parsed = map(Requirement, requirements)
    return [
        wanted.name for wanted in parsed if not wanted.marker or wanted.marker.evaluate(platform)
    ]


@pytest.mark.parametrize("name", PLATFORMS)
def test_a_platform_gets_one_onnx_runtime_and_the_rest_in_any_case(name: str) -> None:
    platform, runtime = PLATFORMS[name]
    found = names(PROJECT["dependencies"], platform)
    assert sorted(found) == sorted(["typer", "shellingham", "rich", "tokenizers", "numpy", runtime])


@pytest.mark.parametrize("name", PLATFORMS)
def test_the_cuda_extra_never_adds_a_second_onnx_runtime(name: str) -> None:
    platform, runtime = PLATFORMS[name]
    extra = names(PROJECT["optional-dependencies"]["cuda"], platform)
    assert extra == (["onnxruntime-gpu"] if runtime == "onnxruntime-gpu" else [])


def test_what_only_development_needs_is_no_extra() -> None:
    assert not {"test", "docs", "dev"} & set(PROJECT["optional-dependencies"])
    assert {"test", "docs", "dev"} <= set(PYPROJECT["dependency-groups"])


def test_every_requirement_of_development_is_pinned() -> None:
    """A group's entry without a pin would make a later run of the tests another run."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = {line.partition("==")[0].lower().replace("_", "-") for line in lines if "==" in line}
    groups = PYPROJECT["dependency-groups"].values()
    wanted = {
        Requirement(entry).name.lower()
        for group in groups
        for entry in group
        if isinstance(entry, str)
    }
    assert wanted <= pinned


def test_every_package_says_that_it_is_typed() -> None:
    for package in PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]:
        assert (ROOT / package / "py.typed").is_file()
