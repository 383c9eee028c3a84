"""`no_grad`, `enable_grad`, `set_grad_enabled`: contexts and decorators, one state a thread."""

import threading

import pytest

import dtrain
from dtrain import enable_grad, is_grad_enabled, no_grad, set_grad_enabled


def wanting(*values):
    return dtrain.tensor(values, requires_grad=True)


def test_no_grad_records_nothing():
    x = wanting(1.0)
    with no_grad():
        y = x * 2
        assert not is_grad_enabled()
        with enable_grad():
            z = x * 2
    assert is_grad_enabled()
    assert (y.requires_grad, z.requires_grad) == (False, True)


@pytest.mark.parametrize("decorator", [no_grad, no_grad(), set_grad_enabled])
def test_grad_modes_are_decorators(decorator):
    if decorator is set_grad_enabled:
        decorator = set_grad_enabled(False)

    @decorator
    def twice(x):
        """Twice."""
        return x * 2

    assert is_grad_enabled()
    assert not twice(wanting(1.0)).requires_grad
    assert twice.__name__ == "twice"
    with no_grad():
        assert enable_grad(lambda x: x * 2)(wanting(1.0)).requires_grad
    assert is_grad_enabled()


def test_set_grad_enabled_holds_from_now_on_or_for_a_block():
    set_grad_enabled(False)
    try:
        assert not is_grad_enabled()
    finally:
        set_grad_enabled(True)
    with set_grad_enabled(False):
        assert not is_grad_enabled()
    assert is_grad_enabled()


def test_a_grad_mode_ends_with_an_exception():
    with pytest.raises(KeyError), no_grad():
        raise KeyError
    assert is_grad_enabled()


def test_grad_modes_are_per_thread():
    seen = []
    with no_grad():
        thread = threading.Thread(target=lambda: seen.append(is_grad_enabled()))
        thread.start()
        thread.join()
    assert seen == [True]


def test_inference_mode_records_nothing():
    x = dtrain.ones(1, requires_grad=True)
    with dtrain.inference_mode():
        assert not (x * 2).requires_grad
    with dtrain.inference_mode(False):
        assert (x * 2).requires_grad
    assert not dtrain.inference_mode(lambda: x * 2)().requires_grad
    assert not dtrain.inference_mode()(lambda: x * 2)().requires_grad


def test_a_generator_is_in_the_mode_only_while_it_runs():
    @dtrain.no_grad()
    def generator():
        try:
            got = yield dtrain.is_grad_enabled()
            yield got, dtrain.is_grad_enabled()
        except KeyError:
            yield "caught", dtrain.is_grad_enabled()
        return "end"

    running = generator()
    assert next(running) is False
    assert dtrain.is_grad_enabled()
    assert running.send("sent") == ("sent", False)
    assert running.throw(KeyError()) == ("caught", False)
    assert dtrain.is_grad_enabled()
    with pytest.raises(StopIteration) as end:
        next(running)
    assert end.value.value == "end"
    assert list(generator()) == [False, (None, False)]
    generator().close()
