"""`--dry-run` of the commands that train: the models that would be trained. Nothing is written."""

from __future__ import annotations

from vacli.files.run_directory import FOLD_PREFIX, WEIGHTS_FILE
from vacli.progress import Progress
from vacli.recipe import io
from vacli.recipe.presets import PRESETS
from vacli.recipe.schema import Recipe
from vacli.steps import ablate, crossval, finetune_mae, train
from vacli.steps.dry_run import Plan, PlannedInput
from vacli.training.temporal.completed import completed_result
from vacli.training.temporal.session import TrainingJob

COMPLETE = "complete with the same settings, skipped"


def plan_train(settings: train.TrainSettings, progress: Progress) -> Plan:
    """The models that would be trained, with their videos. Raises as `train.run`."""
    jobs = train.make_jobs(settings, train.chosen_recipe(settings), progress)
    _report_recipe(jobs[0].recipe, progress)
    return Plan(settings.out, tuple(_planned(job) for job in jobs))


def plan_crossval(settings: crossval.CrossvalSettings, progress: Progress) -> Plan:
    """The folds whose encoder and model would be trained. Raises as `crossval.run`."""
    recipe = train.resolve(settings.train)
    _report_recipe(recipe, progress)
    planned = []
    for split in crossval.make_fold_splits(settings.train, recipe):
        folder = settings.train.out / f"{FOLD_PREFIX}{split.fold.number}"
        steps = f"fine-tune {settings.encoder.encoder}, extract, train"
        counts = f"{len(split.fold.train)} training videos, {len(split.fold.validation)} held-out videos"
        has_model = (folder / WEIGHTS_FILE).is_file()
        action = "has a model: complete steps are skipped" if has_model else steps
        planned.append(PlannedInput(str(folder), f"{action}; {counts}"))
    return Plan(settings.train.out, tuple(planned))


def plan_ablate(settings: ablate.AblateSettings, progress: Progress) -> Plan:
    """The models of all rows. Raises as `ablate.run`."""
    rows, left_out = ablate.check_rows(settings, progress)
    planned = [one for row in rows for one in plan_train(ablate.row_settings(row, settings), progress).inputs]
    planned += [PlannedInput(row.label, "left out: the store lacks its features") for row in left_out]
    return Plan(settings.out, tuple(planned))


def plan_finetune_mae(settings: finetune_mae.FinetuneMaeSettings, progress: Progress) -> Plan:
    """The encoder that would be trained, with its frames. Raises as `finetune_mae.run`."""
    if not settings.resume and not settings.force and finetune_mae.is_complete(settings):
        return Plan(settings.out, (PlannedInput(str(settings.out), COMPLETE),))
    from vacli.steps._encoder_data import select

    selected = select(settings)
    counts = f"{len(selected.train):,} training frames, {len(selected.val):,} validation frames"
    action = f"fine-tune {settings.encoder}; {counts}"
    return Plan(settings.out, (PlannedInput(str(settings.out), action),))


def _report_recipe(recipe: Recipe, progress: Progress) -> None:
    preset = PRESETS.get(recipe.name)
    changes = io.differences(recipe, preset) if preset else ()
    progress.info(f"recipe {recipe.name}" + (f", changed: {', '.join(changes)}" if changes else ""))


def _planned(job: TrainingJob) -> PlannedInput:
    counts = (
        f"{len(job.train)} training videos ({sum(map(len, job.train)):,} frames), "
        f"{len(job.validation)} validation videos, {job.recipe.training.epochs} epochs"
    )
    action = "train" if completed_result(job) is None else COMPLETE
    return PlannedInput(str(job.folder), f"{action}; {counts}")
