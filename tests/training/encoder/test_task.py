from __future__ import annotations

import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import load_file, save_file
from synth.face_stores import face_store

from vacli.errors import LabelError, RunError, UsageError, VaError
from vacli.features.backbones.backbone import TimmBackbone
from vacli.features.backbones.vit import build_vit
from vacli.features.compact.extractor import Compact
from vacli.features.compact.layout import weights_file
from vacli.features.compact.network import CompactFace, load_weights
from vacli.progress import RecordingProgress
from vacli.recipe import schema as recipe
from vacli.runtime.options import ExecutionOptions
from vacli.steps.finetune_mae import FinetuneMaeSettings, run
from vacli.training.checkpoint import read_state, write_state
from vacli.training.encoder.objective import EncoderRequest
from vacli.training.encoder.registry import encoder_factory
from vacli.training.encoder.task import FrameTask
from vacli.training.encoder.vit_objectives import PixelNormalization, VaObjective
from vacli.training.optim import adamw, layer_decay
from vacli.training.trainer import Trainer


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return face_store(tmp_path_factory.mktemp("faces") / "s.zarr", videos=3, frames=24).path


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "model.safetensors"
    save_file(build_vit("test_vit").state_dict(), path)
    return path


@pytest.fixture
def settings(store, checkpoint, tmp_path):
    return FinetuneMaeSettings(
        stores=(store,),
        out=tmp_path / "run",
        encoder="test_vit",
        weights=checkpoint,
        freeze_blocks=4,
        epochs=2,
        batch_size=8,
        lr=1e-3,
        warmup_epochs=0.0,
        validation=("clip2",),
        device="cpu",
    )


SCRATCH = {"weights": None, "from_scratch": True, "freeze_blocks": None}
COSTS = {"train_s", "validate_s", "peak_bytes"}


def lines(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def without_costs(history):
    return [{k: v for k, v in line.items() if k not in COSTS} for line in history]


def test_frozen_parameters_do_not_change(settings, checkpoint):
    result = run(settings)
    before, after = load_file(checkpoint), load_file(settings.out / "weights.safetensors")
    moved = {k for k, v in before.items() if not torch.equal(v, after[f"encoder.{k}"])}
    assert {k.split(".")[1] for k in moved if k.startswith("blocks.")} == {"4", "5"}
    assert {k for k in moved if not k.startswith("blocks.")} == {"norm.weight", "norm.bias"}
    assert result.epochs == 2
    assert {"weights.safetensors", "last.safetensors", "encoder.json", "card.md"} <= {
        path.name for path in settings.out.iterdir()
    }


@pytest.mark.parametrize("ema_decay", [0.0, 0.9])
def test_interrupted_run_resumes_bit_by_bit(settings, tmp_path, monkeypatch, ema_decay):
    whole = replace(settings, out=tmp_path / "whole", grad_accum=2, ema_decay=ema_decay)
    run(whole)
    broken = replace(whole, out=tmp_path / "broken")
    plain = Trainer._epoch

    def stops_in_the_second(self, epoch, progress):
        if epoch == 2:
            raise KeyboardInterrupt
        return plain(self, epoch, progress)

    monkeypatch.setattr(Trainer, "_epoch", stops_in_the_second)
    with pytest.raises(KeyboardInterrupt):
        run(broken)
    monkeypatch.undo()
    run(replace(broken, resume=True))
    for name in ("last.safetensors", "weights.safetensors"):
        one, other = load_file(whole.out / name), load_file(broken.out / name)
        assert all(torch.equal(one[k], other[k]) for k in one)
    assert without_costs(lines(whole.out)) == without_costs(lines(broken.out))


def test_run_of_an_earlier_version_resumes(settings, tmp_path, monkeypatch):
    """Earlier versions stored the position and the history together, with the seconds of an epoch."""
    whole = replace(settings, out=tmp_path / "whole")
    run(whole)
    old = replace(settings, out=tmp_path / "old")
    with monkeypatch.context() as patched:
        patched.setattr(Trainer, "_save", interrupt_after(Trainer._save))
        with pytest.raises(KeyboardInterrupt):
            run(old)
    state = read_state(old.out / "state.pt")
    (row,) = state.pop("history")
    del state["data"]
    columns = {name: row[name] for name in ("epoch", "loss", "ccc_valence", "ccc_arousal", "score")}
    history = [{**columns, "seconds": 1.5}]
    place = {"epoch": 1, "step": row["step"], "best": row["score"], "best_epoch": 1, "history": history}
    write_state(old.out / "state.pt", {**state, "state": place})
    run(replace(old, resume=True))
    expected, got = (load_file(out / "last.safetensors") for out in (whole.out, old.out))
    assert all(torch.equal(expected[k], got[k]) for k in expected)
    first, second = lines(old.out)
    assert (first["step"], first["train_s"], first["grad_norm"]) == (row["step"], 1.5, None)
    assert without_costs([second]) == without_costs(lines(whole.out))[1:]


def interrupt_after(function):
    def interrupting(self):
        function(self)
        raise KeyboardInterrupt

    return interrupting


def test_moving_average_of_the_weights_is_kept(settings, monkeypatch):
    steps = []
    plain = Trainer._step

    def noted(self, step, batches):
        result = plain(self, step, batches)
        steps.append(self._task.model.state_dict()["head.bias"].double().clone())
        return result

    monkeypatch.setattr(Trainer, "_step", noted)
    run(replace(settings, ema_decay=0.9, epochs=1))
    mean = steps[0]
    for value in steps[1:]:
        mean = 0.9 * mean + 0.1 * value
    kept = load_file(settings.out / "weights.safetensors")["head.bias"].double()
    assert torch.allclose(kept, mean, atol=1e-7)
    assert not torch.allclose(kept, steps[-1], atol=1e-5)


def test_compact_network_learns_drawn_faces(settings, monkeypatch):
    small = partial(CompactFace, (16, 32, 32, 32), (0, 1, 1, 1))
    monkeypatch.setattr("vacli.training.encoder.registry.CompactFace", small)
    asked = replace(settings, encoder="compact", **SCRATCH, lr=5e-3)
    result = run(replace(asked, epochs=20, batch_size=16))
    history = lines(settings.out)
    assert history[-1]["loss"] < 0.75 * history[0]["loss"]
    assert result.best > 0.2


def test_compact_network_starts_from_the_bundled_weights_a_run_or_at_random(settings, tmp_path):
    asked = replace(settings, encoder="compact", **SCRATCH, max_frames_per_video=6, epochs=1)
    run(asked)
    bundled = weights_file(None, None)
    for given, path in ((None, bundled), (bundled, bundled), (asked.out, asked.out / "weights.safetensors")):
        request = EncoderRequest(
            encoder="compact",
            objective="va",
            weights=given,
            from_scratch=False,
            freeze_blocks=None,
            normalise=None,
        )
        start = encoder_factory(request, RecordingProgress()).objective.export()
        expected = CompactFace()
        load_weights(expected, path)
        assert all(torch.equal(start[key], value) for key, value in expected.state_dict().items())
    torch.manual_seed(asked.seed)
    at_random = encoder_factory(replace(request, weights=None, from_scratch=True), RecordingProgress())
    torch.manual_seed(asked.seed)
    assert torch.equal(at_random.objective.face.stem.weight, CompactFace().stem.weight)


def test_trained_compact_network_extracts_features(settings):
    run(replace(settings, encoder="compact", **SCRATCH, max_frames_per_video=6, epochs=1))
    rows = Compact(settings.out, ExecutionOptions(device="cpu")).extract(np.zeros((1, 224, 224, 3), np.uint8))
    assert rows.shape == (1, 128)


def test_reconstruction_improves_without_labels(tmp_path, settings):
    unlabelled = face_store(tmp_path / "u.zarr", videos=3, frames=9, labels=False)
    asked = replace(
        settings,
        stores=(unlabelled.path,),
        objective="reconstruct",
        weights=None,
        from_scratch=True,
        freeze_blocks=None,
        epochs=4,
        lr=2e-3,
    )
    run(asked)
    losses = [line["held_loss"] for line in lines(asked.out)]
    assert losses[-1] < losses[0] - 0.02
    fine = replace(settings, out=tmp_path / "fine", weights=asked.out / "weights.safetensors", epochs=1)
    assert run(fine).epochs == 1
    extractor = TimmBackbone("test_vit", fine.out, ExecutionOptions(device="cpu", dtype="float32"))
    assert extractor.extract(np.zeros((2, 224, 224, 3), np.uint8)).shape == (2, 64)


def test_fine_tuned_cnn_extracts_its_pooled_features(settings):
    asked = replace(settings, encoder="test_resnet", weights=None, from_scratch=True, freeze_blocks=None)
    result = run(replace(asked, epochs=1, max_frames_per_video=8))
    assert result.epochs == 1
    crops = np.random.default_rng(0).integers(0, 256, (3, 224, 224, 3), np.uint8)
    extractor = TimmBackbone("test_resnet", settings.out, ExecutionOptions(device="cpu", dtype="float32"))
    tensors = load_file(settings.out / "weights.safetensors")
    model = timm.create_model("test_resnet", num_classes=0).eval()
    model.load_state_dict(
        {k.removeprefix("encoder."): x for k, x in tensors.items() if k.startswith("encoder.")}
    )
    pixels = torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        want = model((pixels - 0.389) / 0.198).numpy()
    np.testing.assert_allclose(extractor.extract(crops), want, atol=1e-4)
    with pytest.raises(VaError, match="fine-tuned test_resnet, not test_vit"):
        TimmBackbone("test_vit", settings.out, ExecutionOptions(device="cpu"))


def test_a_cnn_with_a_convolutional_head_is_trained_and_extracted(settings):
    name = "mobilenetv3_small_050"
    asked = replace(settings, encoder=name, weights=None, from_scratch=True, freeze_blocks=None)
    run(replace(asked, epochs=1, max_frames_per_video=8))
    extractor = TimmBackbone(name, settings.out, ExecutionOptions(device="cpu", dtype="float32"))
    assert extractor.extract(np.zeros((2, 224, 224, 3), np.uint8)).shape == (2, 1024)


def test_every_layer_of_a_cnn_is_trained_from_its_weights(settings, tmp_path):
    torch.manual_seed(1)
    start = timm.create_model("test_resnet", num_classes=0).state_dict()
    save_file(start, tmp_path / "r.safetensors")
    asked = replace(settings, encoder="test_resnet", weights=tmp_path / "r.safetensors", freeze_blocks=None)
    run(replace(asked, epochs=1, max_frames_per_video=8, lr=1e-6))
    after = load_file(settings.out / "weights.safetensors")
    moved = {
        k: (after[f"encoder.{k}"] - x.float()).abs().max()
        for k, x in start.items()
        if k.endswith("conv1.weight")
    }
    assert moved
    assert all(0 < change < 1e-4 for change in moved.values())


def test_early_stop(settings, monkeypatch):
    scores = iter([0.1, 0.5, 0.3, 0.4, 0.45, 0.2])
    monkeypatch.setattr(FrameTask, "validate", lambda self, model: {"score": next(scores)})
    result = run(replace(settings, epochs=6, patience_epochs=2, max_frames_per_video=8))
    assert (result.epochs, result.best_epoch, result.best) == (4, 2, 0.5)


def test_run_is_not_overwritten_without_force(settings):
    run(replace(settings, epochs=1, max_frames_per_video=8))
    with pytest.raises(RunError, match="already holds a run") as caught:
        run(settings)
    assert "--resume" in caught.value.hint
    with pytest.raises(RunError, match="started with epochs 1, not 2"):
        run(replace(settings, max_frames_per_video=8, resume=True))
    run(replace(settings, epochs=1, max_frames_per_video=8, force=True))


def test_complete_run_with_the_same_settings_is_skipped(settings):
    short = replace(settings, epochs=1, max_frames_per_video=8)
    first = run(short)
    before = {path.name: path.stat().st_mtime_ns for path in short.out.iterdir()}
    listener = RecordingProgress()
    assert run(replace(short, device="auto"), listener) == first
    assert listener.messages == [f"{short.out}: complete with the same settings, skipped"]
    assert {path.name: path.stat().st_mtime_ns for path in short.out.iterdir()} == before


def test_run_that_was_interrupted_is_not_skipped(settings, monkeypatch):
    short = replace(settings, epochs=1, max_frames_per_video=8)
    run(short)
    with monkeypatch.context() as patched:
        patched.setattr(Trainer, "run", lambda *others: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            run(replace(short, force=True))
    listener = RecordingProgress()
    run(short, listener)
    assert not any("skipped" in message for message in listener.messages)
    assert (short.out / "card.md").is_file()


def test_a_training_that_fails_in_its_first_epoch_leaves_nothing(settings, monkeypatch):
    asked = replace(settings, epochs=1, max_frames_per_video=8)
    with monkeypatch.context() as patched:
        patched.setattr(FrameTask, "validate", lambda self, model: {"score": float("nan")})
        with pytest.raises(RunError, match="diverged"):
            run(asked)
    assert not asked.out.exists()
    assert run(asked).epochs == 1


def test_learning_rates_decay_towards_the_image(settings):

    objective = VaObjective(build_vit("test_vit"), 3, PixelNormalization((0.5,) * 3, (0.5,) * 3))
    optimiser = adamw(objective, recipe.Optim(), layer_decay(objective.layer_of, 7, 0.5))
    scale = {id(p): g["scale"] for g in optimiser.param_groups for p in g["params"]}
    named = {n: scale[id(p)] for n, p in objective.named_parameters() if p.requires_grad}
    assert named["head.weight"] == named["encoder.norm.bias"] == 1.0
    assert named["encoder.blocks.5.attn.qkv.weight"] == 0.5
    assert named["encoder.blocks.3.attn.qkv.weight"] == 0.125


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"encoder": "resnet10t"}, UsageError, "no blocks to freeze"),
        ({"encoder": "resnet10t", "objective": "reconstruct"}, UsageError, "no objective `reconstruct`"),
        ({"encoder": "resnet10x"}, UsageError, "timm has no model 'resnet10x'"),
        ({**SCRATCH, "encoder": "swinv2_cr_tiny_384"}, UsageError, "takes no images of 224 x 224"),
        ({"freeze_blocks": 9}, UsageError, "has 6"),
        ({"encoder": "compact", "weights": None}, UsageError, "no blocks to freeze"),
        ({"encoder": "compact", "objective": "reconstruct"}, UsageError, "no objective `reconstruct`"),
        ({"from_scratch": True, "weights": None}, UsageError, "without trained weights"),
        ({"from_scratch": True}, UsageError, "--weights and --from-scratch exclude each other"),
        ({"from_scratch": True, "encoder": "resnet10t", "freeze_blocks": None}, UsageError, "exclude each"),
        ({"from_scratch": True, "encoder": "compact", "freeze_blocks": None}, UsageError, "exclude each"),
        ({**SCRATCH, "encoder": "compact", "normalise": "paper"}, UsageError, "has no pixel statistics"),
        ({"resume": True}, RunError, "no run to resume"),
        ({"lr": 1e30}, RunError, "diverged"),
    ],
)
def test_impossible_settings_are_errors(settings, change, error, message):
    with pytest.raises(error, match=message):
        run(replace(settings, **change))


def test_store_without_labels_names_the_command_before_weights_are_read(tmp_path, settings):
    bare = face_store(tmp_path / "u.zarr", videos=2, frames=2, labels=False)
    with pytest.raises((LabelError, VaError)) as caught:
        run(replace(settings, stores=(bare.path,), weights=tmp_path / "absent.pth"))
    assert "va import-labels" in caught.value.hint


def test_messages_count_the_parameters(settings):
    listener = RecordingProgress()
    run(replace(settings, epochs=1, max_frames_per_video=8), listener)
    assert any("M parameters frozen" in message for message in listener.messages)
