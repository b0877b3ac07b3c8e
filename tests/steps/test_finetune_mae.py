"""`va finetune-mae` on small stores: what a resumed run may not change."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file
from synth.face_stores import face_store

from vacli.errors import RunError
from vacli.features.backbones.vit import build_vit
from vacli.steps.finetune_mae import FinetuneMaeSettings, run
from vacli.training.trainer import Trainer


def test_a_run_does_not_continue_on_a_changed_store(tmp_path, monkeypatch):
    store = face_store(tmp_path / "s.zarr", videos=6, frames=4).path
    torch.manual_seed(0)
    save_file(build_vit("test_vit").state_dict(), tmp_path / "model.safetensors")
    settings = FinetuneMaeSettings(
        stores=(store,),
        out=tmp_path / "run",
        encoder="test_vit",
        weights=tmp_path / "model.safetensors",
        freeze_blocks=4,
        epochs=2,
        batch_size=8,
        lr=1e-3,
        warmup_epochs=0.0,
        validation_share=0.34,
        device="cpu",
    )
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
    with pytest.raises(RunError, match="other videos or features"):
        run(replace(settings, resume=True))
    assert (settings.out / "training_frames.json").read_bytes() == record
    shutil.rmtree(store)
    face_store(store, videos=6, frames=4)
    assert run(replace(settings, resume=True)).epochs == 2
