"""labkit as its users have it: the wheel, installed into a virtual environment of its own, without a network."""

import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).resolve().parents[1]


def build(checkout: Path, folder: Path) -> Path:
    """The wheel of a checkout, built in this process, so that no build backend is fetched."""
    return Path(next(WheelBuilder(str(checkout)).build(directory=str(folder))))


def install(wheel: Path, folder: Path) -> Path:
    """A new virtual environment with the wheel and, lent from this one, its dependencies. Returns its bin folder."""
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--no-compile", str(wheel)], check=True, capture_output=True, text=True)
    site = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        check=True, capture_output=True, text=True,
    ).stdout.strip()  # fmt: skip
    # A folder that is named in a .pth file lends its packages, but its own .pth files, such as that of an editable
    # labkit, do not count.
    (Path(site) / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return python.parent
