import pytest

from grainlight.core import UnknownFilterError
from grainlight.photometry import canonical_name, jwst_names, nearest_names


@pytest.mark.parametrize(
    "alias",
    [
        "JWST/MIRI.F1000W",
        "F1000W",
        "f1000w",
        "miri_f1000w",
        "JWST_MIRI_F1000W",
        "jwst.miri.F1000W",
        " MIRI.F1000W ",
        "jwst_f1000w",
    ],
)
def test_aliases_of_one_filter(alias):
    assert canonical_name(alias) == "JWST/MIRI.F1000W"


@pytest.mark.parametrize("name", jwst_names())
def test_every_name_and_short_name_leads_back(name):
    assert canonical_name(name) == name
    assert canonical_name(name.split(".")[1]) == name


def test_columns_of_telescope_and_instrument_decide():
    assert (
        canonical_name("F560W", telescope="JWST", instrument="MIRI")
        == "JWST/MIRI.F560W"
    )
    assert canonical_name("F560W", telescope="---") == "JWST/MIRI.F560W"
    assert canonical_name("I1", telescope="Spitzer", instrument="IRAC") == (
        "Spitzer/IRAC.I1"
    )
    with pytest.raises(UnknownFilterError, match="HST WFC3 F200W"):
        canonical_name("F200W", telescope="HST", instrument="WFC3")
    with pytest.raises(UnknownFilterError, match="MIRI F200W"):
        canonical_name("F200W", instrument="MIRI")


def test_names_of_other_packages_are_known_without_them():
    assert canonical_name("spitzer_irac_ch1") == "Spitzer/IRAC.I1"
    assert canonical_name("WISE.W1") == "WISE/WISE.W1"
    assert canonical_name("sedpy/acs_wfc_f814w") == "sedpy/acs_wfc_f814w"


def test_own_names_are_known_when_told():
    assert canonical_name("my filter", extra=("my filter",)) == "my filter"
    assert canonical_name("MY_FILTER", extra=("my filter",)) == "my filter"


def test_an_unknown_name_offers_the_nearest():
    with pytest.raises(UnknownFilterError, match=r"'F1005W'.*JWST/MIRI\.F1000W"):
        canonical_name("F1005W")
    with pytest.raises(UnknownFilterError, match="Nearest: none"):
        canonical_name("%%%%")
    assert "JWST/MIRI.F2550W" in nearest_names("F256OW", jwst_names())
    assert nearest_names("miri F2550", jwst_names())[0] == "JWST/MIRI.F2550W"
