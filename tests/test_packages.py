"""Missing and broken optional packages."""

import pytest

from vacli.errors import PackageMissing
from vacli.packages import needed_by


def test_absent_package_names_its_extra():
    with pytest.raises(PackageMissing) as caught, needed_by("this test"):
        raise ModuleNotFoundError("No module named 'pyarrow'", name="pyarrow.parquet")
    assert "this test needs pyarrow" in caught.value.one_line()
    assert "vacli[parquet]" in caught.value.one_line()


def test_package_that_cannot_be_imported_is_one_line():
    with pytest.raises(PackageMissing) as caught, needed_by("this test"):
        raise ImportError("pyarrow requires NumPy 2.0 or newer,\nfound 1.26.0")
    line = caught.value.one_line()
    assert "this test needs a package that cannot be imported: pyarrow requires NumPy 2.0" in line
    assert "\n" not in line


@pytest.mark.parametrize(
    "error",
    [
        ModuleNotFoundError("No module named 'vacli.absent'", name="vacli.absent"),
        ImportError("cannot import name 'x' from 'vacli'", name="vacli"),
    ],
)
def test_faults_of_the_program_are_not_hidden(error):
    with pytest.raises(type(error), match="vacli"), needed_by("this test"):
        raise error
