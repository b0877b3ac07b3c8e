"""`va finetune-mae` on small stores: what a resumed run may not change."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file
from synth import stores
from synth.face_stores import face_store

from vacli.errors import RunError
from vacli.features.backbones.vit import build_vit
from vacli.progress import RecordingProgress
from vacli.steps.finetune_mae import SETTINGS, FinetuneMaeSettings, is_complete, run
from vacli.store import Store
from vacli.training.trainer import Trainer


def small(tmp_path, **changes) -> FinetuneMaeSettings:
    """A small network on a store of six videos."""
    torch.manual_seed(0)
    save_file(build_vit("test_vit").state_dict(), tmp_path / "model.safetensors")
    return FinetuneMaeSettings(
        stores=(face_store(tmp_path / "s.zarr", videos=6, frames=4).path,),
        out=tmp_path / "run",
        encoder="test_vit",
        weights=tmp_path / "model.safetensors",
        freeze_blocks=4,
        batch_size=8,
        lr=1e-3,
        warmup_epochs=0.0,
        validation_share=0.34,
        device="cpu",
        **changes,
    )


def test_a_run_does_not_continue_on_a_changed_store(tmp_path, monkeypatch):
    settings = small(tmp_path, epochs=2)
    (store,) = settings.stores
    plain = Trainer._epoch

    def interrupted(self, epoch, progress):
        if epoch == 2:
            raise KeyboardInterrupt
        return plain(self, epoch, progress)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Trainer, "_epoch", interrupted)
        run(settings)
    record = (settings.out / "training_frames.json").read_bytes()
    shutil.rmtree(store)
    face_store(store, videos=8, frames=4)
    with pytest.raises(RunError, match="other videos, labels or features"):
        run(replace(settings, resume=True))
    assert (settings.out / "training_frames.json").read_bytes() == record
    shutil.rmtree(store)
    face_store(store, videos=6, frames=4)
    assert run(replace(settings, resume=True)).epochs == 2


def replace_labels(settings):
    store = Store.open(settings.stores[0])
    stores.put_labels(store, "clip0", -store.video("clip0").labels())


def replace_faces(settings):
    store = Store.open(settings.stores[0])
    images = list(store.video("clip0").crop_bytes([0, 1, 2, 3]))
    with store.stage("clip0", "face", {}) as writer:
        writer.append_images("crop", [image and image + b" " for image in images])


def change_the_frame_list(settings):
    settings.frame_list.write_text("".join(["video,frame\n", *(f"clip{n},2\n" for n in range(6))]))


@pytest.mark.parametrize("change", [replace_labels, replace_faces, change_the_frame_list])
def test_a_complete_run_is_skipped_only_on_the_same_frames(tmp_path, change):
    listed = tmp_path / "frames.csv"
    listed.write_text("".join(["video,frame\n", *(f"clip{n},{m}\n" for n in range(6) for m in (0, 2))]))
    settings = small(tmp_path, epochs=1, frame_list=listed)
    run(settings)
    progress = RecordingProgress()
    run(settings, progress)
    assert progress.messages == [f"{settings.out}: complete with the same settings, skipped"]
    change(settings)
    assert not is_complete(settings)
    with pytest.raises(RunError, match="on other frames, labels or faces") as caught:
        run(settings)
    assert "--force" in caught.value.hint
    with pytest.raises(RunError, match="other videos, labels or features"):
        run(replace(settings, resume=True))
    run(replace(settings, force=True))
    assert is_complete(settings)


def test_a_run_without_a_record_of_its_frames_is_compared_by_its_settings(tmp_path):
    settings = small(tmp_path, epochs=1)
    run(settings)
    path = settings.out / SETTINGS
    path.write_text(json.dumps({k: v for k, v in json.loads(path.read_text()).items() if k != "frames"}))
    replace_labels(settings)
    assert is_complete(settings)
