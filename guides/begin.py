"""How each guide begins: in an empty folder, with the commands of the environment that runs it."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from IPython.core.magic import register_cell_magic

from scalinglaws.files import CHECKOUT


def begin(*names: str) -> Path:
    """Go to a new folder and return it; ``names`` are files and folders of the checkout that are linked there."""
    folder = Path(tempfile.mkdtemp(prefix="guide-"))
    os.chdir(folder)
    for name in names:
        Path(name).symlink_to(CHECKOUT / name)
    paths = (str(Path(sys.executable).parent), os.environ["PATH"])
    os.environ |= {"NO_COLOR": "1", "OMP_NUM_THREADS": "1", "PATH": os.pathsep.join(paths)}
    register_cell_magic(bash)
    return folder


def bash(line: str, cell: str) -> None:
    """IPython's ``%%bash``, with all that was printed in one piece; notes beside it are shown where a command fails."""
    done = subprocess.run(["bash", "-e", "-c", cell], capture_output=True, text=True)
    print(done.stdout, end="")
    if done.returncode:
        raise RuntimeError(f"exit status {done.returncode}\n{done.stderr}")
