"""`cp env.sample .env && docker compose up -d` brings up a web server, a worker and a queue."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from yamllint import linter
from yamllint.config import YamlLintConfig

from docs.generate import settings
from onward.cli import main as command_line
from onward.config import Settings, load

ROOT: Final = Path(__file__).parents[2]
COMPOSE: Final = ROOT / "docker-compose.yml"


def _has_compose() -> bool:
    if shutil.which("docker") is None:
        return False
    return subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0


def _filled_in(text: str, values: dict[str, str]) -> str:
    """Variables of the kinds that the file uses: ``${A}``, ``${A:-else}``, ``${A:?reason}``."""

    def value(found: re.Match[str]) -> str:
        name, otherwise = found["name"], found["otherwise"]
        if name in values:
            return values[name]
        assert otherwise is not None, f"{name} is not in env.sample and has no default"
        return otherwise

    return re.sub(r"\$\{(?P<name>[A-Z_]+)(?::-(?P<otherwise>[^}]*)|:\?[^}]*)?\}", value, text)


def _sample() -> dict[str, str]:
    lines = (ROOT / "env.sample").read_text(encoding="utf-8").splitlines()
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name: value for name, _, value in pairs}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The compose project as it is with the sample for its environment."""
    if not _has_compose():
        print("`docker compose` is not on this machine: its own check of the file is replaced by reading the YAML")
        found: dict[str, Any] = yaml.safe_load(_filled_in(COMPOSE.read_text(encoding="utf-8"), _sample()))
        return found
    folder = tmp_path_factory.mktemp("compose")
    shutil.copy(COMPOSE, folder)
    shutil.copy(ROOT / "env.sample", folder / ".env")
    run = subprocess.run(
        ["docker", "compose", "config", "--format", "json"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    parsed: dict[str, Any] = json.loads(run.stdout)
    return parsed


def test_the_file_is_tidy_yaml() -> None:
    config = YamlLintConfig(file=str(ROOT / ".yamllint"))
    assert [str(problem) for problem in linter.run(COMPOSE.read_text(encoding="utf-8"), config)] == []


def test_it_has_web_worker_and_queue(project: dict[str, Any]) -> None:
    services = project["services"]
    assert set(services) == {"web", "worker", "redis"}
    assert "--no-worker" in services["web"]["command"]
    assert services["worker"]["command"] == ["onward", "worker"]
    assert all(service["restart"] == "unless-stopped" for service in services.values())
    assert "healthcheck" in services["redis"]
    for name in ("web", "worker"):
        assert services[name]["depends_on"]["redis"]["condition"] == "service_healthy"


@pytest.mark.parametrize("name", ["web", "worker"])
def test_its_environment_is_settings_that_load(project: dict[str, Any], name: str) -> None:
    given = {k: str(v) for k, v in project["services"][name]["environment"].items() if k.startswith("ONWARD_")}
    found = load(environ=given, dotenv=None)
    assert found.token
    assert found.data == Path("/data")
    assert re.fullmatch(r"redis://:[^@]+@redis:6379/0", found.queue_url)


@pytest.mark.parametrize("name", ["web", "worker"])
def test_its_commands_are_ones_that_onward_has(project: dict[str, Any], name: str) -> None:
    onward, command, *flags = project["services"][name]["command"]
    known = {flag for p in command_line.commands[command].params for flag in (*p.opts, *p.secondary_opts)}
    assert onward == "onward"
    assert {flag for flag in flags if flag.startswith("--")} <= known


def test_the_queue_asks_for_the_password_that_the_others_have(project: dict[str, Any]) -> None:
    password = _sample()["REDIS_PASSWORD"]
    assert password in project["services"]["redis"]["command"]
    assert f":{password}@" in project["services"]["web"]["environment"]["ONWARD_QUEUE_URL"]


def test_only_this_host_reaches_it_until_its_owner_says_otherwise(project: dict[str, Any]) -> None:
    assert str(_sample()["PUBLISH"]).startswith("127.0.0.1:")
    assert "ports" not in project["services"]["redis"]


def test_the_image_keeps_its_data_where_the_project_mounts_it(project: dict[str, Any]) -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert "VOLUME /data" in dockerfile
    assert re.search(r"^USER [1-9]\d*$", dockerfile, re.MULTILINE)
    assert set(re.findall(r"\bONWARD_([A-Z_]+)=", dockerfile)) <= {name.upper() for name, *_ in settings()}
    for name in ("web", "worker"):
        volume = project["services"][name]["volumes"][0]
        assert volume == "data:/data" or (volume["source"], volume["target"]) == ("data", "/data")


def test_the_build_gets_what_the_package_is_made_of() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    for name in " ".join(copied).split():
        assert f"!{name}" in ignored
        assert (ROOT / name).exists()


def test_defaults_do_not_serve_beyond_this_host() -> None:
    assert (Settings().host, Settings().open) == ("127.0.0.1", False)
