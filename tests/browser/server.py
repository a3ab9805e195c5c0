"""A JupyterLab of its own: free port, token, and folders that no user's settings reach."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
TOKEN = "only-for-this-test"
START_SECONDS = 90
SETTINGS = {
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    # every cell is in the page, not only those near the visible part
    "notebook-extension/tracker": {"windowingMode": "none"},
}


@dataclass(frozen=True)
class Server:
    """Where a running JupyterLab is, and the folder that it shows."""

    url: str
    folder: Path

    def address(self, notebook: str) -> str:
        """The page that opens a notebook, with nothing else open."""
        return f"{self.url}lab/tree/{notebook}?reset&token={TOKEN}"


def _settings(folder: Path) -> Path:
    for name, values in SETTINGS.items():
        path = folder / "@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values))
    return folder


def _environment(private: Path, results: Path) -> dict[str, str]:
    environment = {
        "OMP_NUM_THREADS": "1",
        **os.environ,
        "JUPYTER_CONFIG_DIR": str(private / "config"),
        "JUPYTER_DATA_DIR": str(private / "data"),
        "JUPYTER_RUNTIME_DIR": str(private / "runtime"),
        "IPYTHONDIR": str(private / "ipython"),
        "JUPYTERLAB_SETTINGS_DIR": str(_settings(private / "settings")),
        "JUPYTERLAB_WORKSPACES_DIR": str(private / "workspaces"),
        "CAVIAR_KIT_PRESET": "quick",
        "CAVIAR_KIT_RESULTS": str(results),
        "PYTHONPATH": str(ROOT),
    }
    environment.pop("MPLBACKEND", None)  # the notebooks' pictures need Jupyter's own
    return environment


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}api/status?token={TOKEN}", timeout=2) as reply:
            return reply.status == 200
    except OSError:
        return False


@contextlib.contextmanager
def running_lab(folder: Path, private: Path) -> Iterator[Server]:
    """Run JupyterLab on ``folder`` with this interpreter; end it, and its kernels, afterwards."""
    port = _free_port()
    line = [sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root", "--ip=127.0.0.1"]
    line += [f"--port={port}", "--ServerApp.port_retries=0", f"--IdentityProvider.token={TOKEN}"]
    line += [f"--ServerApp.root_dir={folder}"]
    log = private / "server.log"
    url = f"http://127.0.0.1:{port}/"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            line,
            cwd=folder,
            env=_environment(private, folder / "results"),
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # one group, so that kernels can be ended with it
        )
    try:
        limit = time.monotonic() + START_SECONDS
        while not _answers(url):
            if process.poll() is not None or time.monotonic() > limit:
                raise RuntimeError(f"JupyterLab did not start:\n{log.read_text()[-3000:]}")
            time.sleep(0.3)
        yield Server(url, folder)
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # what did not end by itself
        process.wait(5)
