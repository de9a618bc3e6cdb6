import importlib

import numpy as np
import pytest

from grainlight.core import UnknownFilterError
from grainlight.photometry import Filter, load_filters
from grainlight.photometry.names import SEDPY_NAMES, SPECLITE_NAMES


def test_jwst_filters_need_no_extra():
    assert load_filters(["F1000W", "F200W"]).names == (
        "JWST/MIRI.F1000W",
        "JWST/NIRCam.F200W",
    )


def test_own_filters_go_first():
    own = Filter("JWST/MIRI.F1000W", np.array([9.0, 11.0]), np.array([1.0, 1.0]))
    assert load_filters(["F1000W"], own=[own])[0] is own


@pytest.mark.parametrize("name", ["Spitzer/IRAC.I1", "Euclid/VIS.vis"])
def test_an_absent_extra_is_named(name, monkeypatch):
    def absent(module):
        raise ImportError(module)

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(UnknownFilterError, match=r"pip install grainlight\[filters\]"):
        load_filters([name])


def test_sedpy_curves():
    pytest.importorskip("sedpy")
    pivots = load_filters(SEDPY_NAMES).pivot
    assert pivots[-5] == pytest.approx(3.55, rel=0.01)  # IRAC 3.6
    assert pivots[-1] == pytest.approx(23.8, rel=0.01)  # MIPS 24
    with pytest.raises(UnknownFilterError, match="astro-sedpy holds"):
        load_filters(["sedpy/spitzer_irac_ch9"])


def test_speclite_curves():
    pytest.importorskip("speclite")
    pivots = load_filters(SPECLITE_NAMES).pivot
    np.testing.assert_allclose(pivots, [0.71, 1.08, 1.36, 1.77], rtol=0.03)
    with pytest.raises(UnknownFilterError, match="speclite holds"):
        load_filters(["speclite/Euclid-Q"])
