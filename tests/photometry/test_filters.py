import numpy as np
import pytest

from grainlight.core import FileFormatError, ObservationError, UnknownFilterError
from grainlight.photometry import (
    Filter,
    FilterSet,
    jwst_filters,
    jwst_names,
    read_filter,
)


def box(name="mine/camera.box", lower=1.0, upper=2.0):
    wave = np.array([lower - 1e-6, lower, upper, upper + 1e-6])
    return Filter(name, wave, np.array([0.0, 0.5, 0.5, 0.0]))


def test_all_38_jwst_filters_are_there_by_wavelength():
    filters = jwst_filters()
    assert len(filters) == 38
    assert sum("NIRCam" in name for name in filters.names) == 29
    assert (np.diff(filters.pivot) > 0).all()
    assert filters.names[0] == "JWST/NIRCam.F070W"
    assert filters.names[-1] == "JWST/MIRI.F2550W"
    assert jwst_filters() is filters


def test_kinds_give_the_29_broad_and_medium_bands():
    names = jwst_names("broad", "medium")
    assert len(names) == 29
    assert "JWST/NIRCam.F150W2" not in names
    assert "JWST/NIRCam.F164N" not in names
    counts = {k: len(jwst_names(k)) for k in ("broad", "medium", "narrow", "wide")}
    assert counts == {"broad": 17, "medium": 12, "narrow": 7, "wide": 2}
    assert len(jwst_names()) == 38


@pytest.mark.parametrize(
    ("name", "pivot"),
    # JWST user documentation, NIRCam and MIRI filter tables.
    [
        ("JWST/NIRCam.F070W", 0.704),
        ("JWST/NIRCam.F200W", 1.99),
        ("JWST/NIRCam.F444W", 4.40),
        ("JWST/MIRI.F560W", 5.64),
        ("JWST/MIRI.F1000W", 9.95),
        ("JWST/MIRI.F2100W", 20.80),
        ("JWST/MIRI.F2550W", 25.36),
    ],
)
def test_pivots_are_the_documented_ones(name, pivot):
    assert jwst_filters()[name].pivot == pytest.approx(pivot, rel=3e-3)


def test_wavelengths_of_a_box_are_exact():
    member = box()
    assert member.pivot == pytest.approx(np.sqrt(1.5 / np.log(2)), rel=1e-6)
    fine = np.linspace(1.0, 2.0, 4001)
    member = Filter("mine/camera.fine", fine, np.full(4001, 0.3))
    assert member.pivot == pytest.approx(np.sqrt(1.5 / np.log(2)), rel=1e-6)
    assert member.mean_wavelength == pytest.approx(1.5, rel=1e-7)
    assert member.effective_width == pytest.approx(1.0, rel=1e-9)
    assert (member.lower, member.upper) == (1.0, 2.0)
    assert member.kind == "other"


def test_thinned_curves_are_short_and_normalized():
    for member in jwst_filters():
        weight, nodes = member.quadrature.weight, member.quadrature.ln_wave
        assert weight.size <= 60
        assert weight.sum() == pytest.approx(1, rel=1e-12)
        assert (weight > 0).all()
        assert (np.diff(nodes) > 0).all()
        assert np.exp(nodes[0]) >= member.wave[0]
        assert np.exp(nodes[-1]) <= member.wave[-1]


def test_a_set_is_indexed_by_name_alias_and_position():
    filters = jwst_filters().subset(["f1000w", "JWST/NIRCam.F200W"])
    assert filters.names == ("JWST/MIRI.F1000W", "JWST/NIRCam.F200W")
    assert filters["miri_f1000w"] is filters[0]
    assert filters.index("F200W") == 1
    assert "JWST/MIRI.F1000W" in filters
    with pytest.raises(UnknownFilterError, match="2 filters of this set"):
        filters["F560W"]
    own = FilterSet((box(),))
    assert own["mine/camera.box"] is own[0]


def test_a_set_refuses_the_same_filter_twice():
    with pytest.raises(ObservationError, match="every filter once"):
        FilterSet((box(), box()))


@pytest.mark.parametrize(
    ("wave", "transmission", "message"),
    [
        ([1.0], [0.1], "of one length"),
        ([2.0, 1.0], [0.1, 0.1], "increasing"),
        ([0.0, 1.0], [0.1, 0.1], "positive, increasing"),
        ([1.0, 2.0], [0.1, -0.1], "not negative"),
        ([1.0, 2.0], [0.0, 0.0], "not all zero"),
        ([1.0, np.nan], [0.1, 0.1], "finite"),
    ],
)
def test_broken_curves_are_refused(wave, transmission, message):
    with pytest.raises(FileFormatError, match=message):
        Filter("mine/camera.bad", np.array(wave), np.array(transmission))


def test_own_curves_are_read_from_text(tmp_path):
    path = tmp_path / "curve.csv"
    path.write_text("# my filter\nwave,transmission\n1.0,0\n1.1,0.5\n1.2,0\n")
    member = read_filter(path, "mine/camera.F1")
    assert member.pivot == pytest.approx(1.1, rel=2e-3)
    path.write_text("nothing here\n")
    with pytest.raises(FileFormatError, match="two columns"):
        read_filter(path, "mine/camera.F1")
    with pytest.raises(FileFormatError, match="not one"):
        read_filter(tmp_path / "absent.csv", "mine/camera.F1")
