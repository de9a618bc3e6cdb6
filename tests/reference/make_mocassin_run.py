"""Make `mocassin_run/`: what MOCASSIN wrote for one shell on a very coarse grid.

    python tests/reference/make_mocassin_run.py

An own run of MOCASSIN 2.02.73 (Ercolano et al. 2003, MNRAS 340, 1136; 2005, MNRAS 362,
1038), 9 points an axis and few packets, so that the files are small;
blanks are put together.
"""

import re
import shutil
import tempfile
from pathlib import Path

import numpy as np

from grainlight.simulators import MocassinSettings, MocassinShell, ShellSimulator
from grainlight.simulators.mocassin_input import write_input
from grainlight.simulators.mocassin_program import cold_start, warm_start

OUT = Path(__file__).with_name("mocassin_run")
THETA = np.array([1e-3, 0.1, 0.5, 1e5, 6000.0, 1e17])
SETTINGS = MocassinSettings(
    points=9, first_packets=5_000, first_steps=2, last_packets=20_000, last_steps=1
)
FILES = ("SED.out", "dustGrid.out", "tauNu.out", "summary.out")
#: What the warm start is told by.
WARM = ("grid3.out", "photoSource.out")


def main() -> None:
    shell = MocassinShell.from_theta(THETA, ShellSimulator())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_input(folder, shell, SETTINGS)
        cold_start(folder)
        warm_start(folder, SETTINGS.last_packets, SETTINGS.last_steps)
        OUT.mkdir(exist_ok=True)
        for file in FILES:
            text = (folder / "output" / file).read_text()
            (OUT / file).write_text(re.sub(" +", " ", text))
        for file in WARM:
            shutil.copy(folder / "output" / file, OUT / file)
        for file in (*FILES, *WARM):
            print(file, (OUT / file).stat().st_size, "bytes")


if __name__ == "__main__":
    main()
