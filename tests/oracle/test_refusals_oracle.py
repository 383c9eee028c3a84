"""What dtrain refuses, PyTorch refuses with the same class of exception."""

import pytest

torch = pytest.importorskip("torch")

from tests.test_refusals import REFUSED  # noqa: E402

pytestmark = pytest.mark.oracle


@pytest.mark.parametrize("name", REFUSED)
def test_pytorch_refuses_it_with_the_same_class(name):
    call, error, _ = REFUSED[name]
    with pytest.raises(error):
        call(torch)
