"""The checks of `va doctor` for weights."""

from __future__ import annotations

from vacli.steps._doctor_finding import OK, PROBLEM, Finding


def check_bundled_weights() -> Finding:
    """The weights in the package, by the digests of the runs and of the face and speech detectors."""
    from vacli.faces.retinaface import COARSE, FULL
    from vacli.features.downloads import PACKAGE
    from vacli.features.weights import WEIGHTS
    from vacli.files.digests import file_sha256
    from vacli.inference.run import BUNDLED, BUNDLED_AUDIO, load_run

    for folder in (BUNDLED, BUNDLED_AUDIO):
        load_run(folder)
    for bundled in (FULL, COARSE, WEIGHTS["speech"]):
        if file_sha256(PACKAGE / bundled.file) != bundled.sha256:
            return Finding(PROBLEM, f"{bundled.file} is damaged", "install `va` again")
    return Finding(OK, f"complete and unchanged in {PACKAGE}")


def check_published_weights() -> Finding:
    """The weights that are fetched when a feature needs them."""
    from vacli.features.downloads import cached_file
    from vacli.features.weights import WEIGHTS
    from vacli.files.digests import file_sha256

    states, damaged = [], []
    for name, record in WEIGHTS.items():
        if record.source == "package":
            continue
        try:
            path = cached_file(record)
        except ModuleNotFoundError:
            path = None
        if path and record.sha256 and not file_sha256(path).startswith(record.sha256):
            damaged.append(f"{name} ({path})")
        states.append(f"{name} {'in the cache' if path else 'not fetched'}")
    if damaged:
        return Finding(
            PROBLEM, f"damaged: {', '.join(damaged)}", "remove these files, then `va weights fetch`"
        )
    return Finding(OK, ", ".join(states), "`va weights fetch NAME` fetches what a feature needs")
