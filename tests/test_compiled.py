from __future__ import annotations

from vacli import compiled


def test_nowhere_to_keep_compiled_code_is_no_failure(monkeypatch):
    def njit(cache=False, **options):
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return lambda function: function

    monkeypatch.setattr(compiled, "njit", njit)
    assert compiled.compiled()(abs) is abs
