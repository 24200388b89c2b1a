"""The other servers: where they come from, how each is started. Nothing of them is kept in the tree."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

APPS: Final = Path(__file__).parent / "apps"
_PYTHON: Final = ("tuspyserver", "fastapi-tusd", "resumable-upload", "litestar-tus", "asgi-tus")
_SERVED: Final = ("tuspyserver", "fastapi-tusd", "resumable-upload")
_NODE: Final = ("@tus/server@2", "@tus/file-store@2")
_NGINX: Final = """
daemon off; worker_processes 1; user {user}; pid {data}/nginx.pid; error_log stderr error;
events {{ worker_connections 1024; }}
http {{
  access_log off; client_max_body_size 0; keepalive_requests 1000000;
  client_body_temp_path {data}/body; proxy_temp_path {data}/p; fastcgi_temp_path {data}/f;
  uwsgi_temp_path {data}/u; scgi_temp_path {data}/s;
  server {{ listen 127.0.0.1:{port}; root {data}; location / {{ dav_methods PUT; create_full_put_path on; }} }}
}}
"""

Command = Callable[[Path, int], list[str]]
"""How a server is started over a folder and a port."""


@dataclass(frozen=True, kw_only=True)
class Peers:
    """What was found or installed."""

    commands: Mapping[str, Command]
    """By name: ``nginx``, ``node``, and the Python servers by the names of their packages."""
    versions: Mapping[str, str]
    missing: Mapping[str, str]
    """Why one cannot be had here."""
    profiler: Path | None
    """py-spy, if there is one for this machine."""

    @property
    def about(self) -> dict[str, str]:
        """Beside whom Onward is measured."""
        return {
            "beside": ", ".join(f"{name} {version}" for name, version in self.versions.items()) or "nobody",
            "not to be had": "; ".join(f"{name} ({why})" for name, why in self.missing.items()) or "none",
        }


def install(cache: Path) -> Peers:
    """Fetch from the registries what is not in ``cache`` yet. What cannot be had is named, the rest goes on."""
    cache.mkdir(parents=True, exist_ok=True)
    commands: dict[str, Command] = {}
    versions: dict[str, str] = {}
    missing: dict[str, str] = {}
    for name, fetch in (("nginx", _nginx), ("node", _node)):
        try:
            commands[name], versions[name] = fetch(cache)
        except (OSError, subprocess.CalledProcessError) as error:
            missing[name] = _reason(error)
    python = cache / "python" / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(cache / "python")], check=True)
        _pip(python, "uvicorn[standard]")
    for name in _PYTHON:
        try:
            versions[name] = _pip(python, name)
        except subprocess.CalledProcessError as error:
            missing[name] = _reason(error)
            continue
        if name in _SERVED:
            commands[name] = _python(python, name)
        else:
            missing[name] = "installed, but there is no application for it here"
    try:
        _pip(python, "py-spy")
    except subprocess.CalledProcessError as error:
        missing["py-spy"] = _reason(error)
    profiler = python.with_name("py-spy")
    return Peers(
        commands=commands, versions=versions, missing=missing, profiler=profiler if profiler.exists() else None
    )


def nothing(_: Path, port: int) -> list[str]:
    """The do-nothing Litestar handler; it runs in our own Python."""
    return [sys.executable, str(APPS / "serve_nothing.py"), str(port)]


def _nginx(_: Path) -> tuple[Command, str]:
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    if shutil.which("nginx", path=path) is None and os.geteuid() == 0:
        order = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "nginx"]
        subprocess.run(order, check=True, capture_output=True)
    found = shutil.which("nginx", path=path)
    if found is None:
        raise FileNotFoundError("nginx is not installed; on Debian: apt-get install nginx")
    said = subprocess.run([found, "-v"], check=True, capture_output=True, text=True).stderr

    def command(data: Path, port: int) -> list[str]:
        user = "root" if os.geteuid() == 0 else "nobody"
        settings = data.parent / f"{data.name}.conf"
        settings.write_text(_NGINX.format(data=data, port=port, user=user), encoding="utf-8")
        return [found, "-c", str(settings), "-e", "stderr"]

    return command, said.rpartition("/")[2].strip()


def _node(cache: Path) -> tuple[Command, str]:
    modules = cache / "node"
    mark = modules / "node_modules" / "@tus" / "file-store" / "package.json"
    if not mark.exists():
        modules.mkdir(exist_ok=True)
        (modules / "package.json").write_text('{"private": true}', encoding="utf-8")
        subprocess.run(
            ["npm", "install", "--silent", "--no-audit", "--no-fund", *_NODE],
            cwd=modules,
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
    version = subprocess.run(
        ["node", "-p", "require('./node_modules/@tus/server/package.json').version"],
        cwd=modules,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()

    def command(data: Path, port: int) -> list[str]:
        return ["node", str(APPS / "serve_node.mjs"), str(port), str(data), str(modules)]

    return command, version


def _python(python: Path, name: str) -> Command:
    script = APPS / f"serve_{name.replace('-', '_')}.py"
    return lambda data, port: [str(python), str(script), str(port), str(data)]


def _pip(python: Path, name: str) -> str:
    """Install a package unless it is there; its version."""
    bare = name.partition("[")[0]
    ask = [str(python), "-c", f"from importlib.metadata import version; print(version({bare!r}))"]
    found = subprocess.run(ask, check=False, capture_output=True, text=True)
    if found.returncode:
        order = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", name]
        subprocess.run(order, check=True, capture_output=True)
        found = subprocess.run(ask, check=True, capture_output=True, text=True)
    return found.stdout.strip()


def _reason(error: OSError | subprocess.CalledProcessError) -> str:
    if isinstance(error, OSError):
        return str(error)
    lines = (error.stderr or b"").decode(errors="replace").strip().splitlines()
    if any("Requires-Python" in line for line in lines):
        return "wants a newer Python"
    return lines[-1][:160] if lines else str(error)
