"""The calls: examine a run, run a script up to its training, read a model file or a data set."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from segdoctor.core.errors import UserError
from segdoctor.examination.arguments import chooser_of, fail_on_of, names_of, trial_of
from segdoctor.examination.request import Request, Say, Script, silent
from segdoctor.report.report import Report

if TYPE_CHECKING:
    from segdoctor.core.run import Trial


def check(
    model: Any,
    data: Any = None,
    *,
    files: str | None = None,
    loss: Any = None,
    optimizer: Any = None,
    metrics: Any = None,
    num_classes: int | None = None,
    ignore_label: int | bool | None = None,
    preprocess: str | None = None,
    history: Any = None,
    callbacks: Any = None,
    class_weight: Any = None,
    validation_data: Any = None,
    epochs: int | None = None,
    steps_per_epoch: int | None = None,
    batch_size: int | None = None,
    from_logits: bool | None = None,
    learning_rate: float | None = None,
    freeze: int | str | None = None,
    label_map: str | Mapping[Any, int] | None = None,
    labels: str | None = None,
    resize: str = "fit",
    split: str | None = None,
    val_split: str | None = None,
    masks: str | None = None,
    images: str | None = None,
    pairs: str | None = None,
    keras: str | None = None,
    arch: str | None = None,
    objects: str | None = None,
    custom_objects: Mapping[str, Any] | None = None,
    device: str = "auto",
    trial: Trial | str | bool = "auto",
    select: str | Iterable[str] = (),
    ignore: str | Iterable[str] = (),
    trust: bool = False,
    fail_on: str = "error",
    seed: int = 0,
    out: str | None = None,
    apart: bool = False,
    progress: Say = silent,
) -> Report:
    """Examine a training run, say which faults it has, and try the fix.

    Parameters
    ----------
    model : keras.Model, or path
        A built model (Keras 3 or tf_keras), or a ``.h5`` / ``.keras`` file. A live model is as it
        was afterwards: weights, statistics, flags, optimizer, compile and random state.
    data : path, arrays, data set or generator, optional
        A data set folder or URL; ``(x, y)`` or ``(x, y, sample_weight)`` with x
        (B, H, W, channels) and y ids (B, H, W), (B, H, W, 1) or one-hot (B, H, W, C); a
        ``tf.data.Dataset``, ``PyDataset``, or generator of batches; ``"file.py:name"`` of one of
        these. Without it only graph and weights are examined.
    files : path or URL, optional
        The folder that arrays or batches are made of: both are held against each other.
    loss, optimizer, metrics : optional
        As for ``compile``. Default: what the model was compiled with.
    num_classes, ignore_label : int, optional
        None: found out; an int: declared; ``ignore_label=False``: there is none.
    preprocess : {"tf", "caffe", "torch", "unit", "none"}, optional
        How the folder's images are scaled; it is judged.
    history : path, dict, pandas frame or Keras History, optional
        What a training reported epoch by epoch: a CSVLogger or JSON file, or a TensorBoard folder.
    callbacks : list of callbacks, optional
        Those given to ``fit``; the keys they watch, their direction and patience are judged.
    class_weight, validation_data : optional
        As given to ``fit``; ``validation_data`` None: unknown, False: there is none.
    freeze : int or str, optional
        Freeze the first N layers, all up to a layer's name, all that begin so, or ``"bn"``.
    label_map : str or dict, optional
        ``"15=1,*=0"``: ids not listed stay unless ``*`` is given.
    labels : {"ids", "onehot", "onehot-zero", "onehot-255"}, optional
        How the folder's masks are encoded by your pipeline; given, it is judged.
    trial : "auto", False or Trial
        The overfit trial; "auto": within 60 s, on a GPU within 30 s.
    select, ignore : codes, families or slugs
    trust : bool
        Let code in a model file run, in a child process that is confined where the system can.
    apart : bool
        Such a child in any case: a crash or a hanging step ends it alone, what was found is kept.
    fail_on : {"error", "warning", "never"}
        From which severity on ``exit_code`` is 1.
    out : folder, optional
        Tested for writing before work begins; :meth:`Report.save` writes there.

    Returns
    -------
    Report
        Findings never raise; a refusal has ``exit_code`` 4.

    Raises
    ------
    UserError
        A ``ValueError`` of one line for an argument that cannot be: a missing file, an unknown
        code, a loss that does not exist.
    """
    from segdoctor.examination.reporting import examined

    request = Request(
        model=model,
        data=data,
        files=files,
        loss=loss,
        from_logits=from_logits,
        optimizer=optimizer,
        learning_rate=learning_rate,
        metrics=metrics,
        num_classes=num_classes,
        ignore_label=ignore_label,
        preprocess=preprocess,
        class_weight=class_weight,
        history=history,
        callbacks=callbacks,
        validation_data=validation_data,
        epochs=epochs,
        steps_per_epoch=steps_per_epoch,
        batch_size=batch_size,
        freeze=freeze,
        label_map=label_map,
        labels=labels,
        resize=resize,
        split=split,
        val_split=val_split,
        masks=masks,
        images=images,
        pairs=pairs,
        keras=keras,
        arch=arch,
        objects=objects,
        custom_objects=dict(custom_objects or {}),
        trust=trust,
        device=device,
        trial=trial_of(trial),
        budget_given=trial != "auto" and trial is not True,
        select=names_of(select),
        ignore=names_of(ignore),
        fail_on=fail_on_of(fail_on),
        out=out,
        seed=seed,
        say=progress,
    )
    if (apart or trust) and isinstance(model, str | os.PathLike):
        from segdoctor.examination.apart import examined_apart
        from segdoctor.report.ahead import load_ahead

        return examined_apart(request, meanwhile=load_ahead)
    return examined(request)


def run(
    script: str | os.PathLike[str],
    args: Iterable[str] = (),
    *,
    module: bool = False,
    fit: int = 1,
    go_on: bool = False,
    files: str | None = None,
    split: str | None = None,
    masks: str | None = None,
    loss: Any = None,
    optimizer: Any = None,
    metrics: Any = None,
    from_logits: bool | None = None,
    learning_rate: float | None = None,
    num_classes: int | None = None,
    ignore_label: int | bool | None = None,
    history: Any = None,
    epochs: int | None = None,
    steps_per_epoch: int | None = None,
    device: str = "auto",
    trial: Trial | str | bool = "auto",
    select: str | Iterable[str] = (),
    ignore: str | Iterable[str] = (),
    fail_on: str = "error",
    seed: int = 0,
    out: str | None = None,
    apart: bool = False,
    progress: Say = silent,
    on_report: Callable[[Report], None] | None = None,
) -> Report:
    """Run a training script up to its training, and examine what it is about to train.

    It runs as ``python script.py args…`` would run it, up to its first ``fit``,
    ``train_on_batch``, or step of a loop that hands the gradients of a ``GradientTape`` to an
    optimizer. What is about to be trained is examined as by :func:`check`; then it is stopped.

    Parameters
    ----------
    script : a ``.py`` or ``.ipynb`` file; with ``module=True`` the name of a module
    args : what the script finds in ``sys.argv[1:]``
    fit : which training is examined; those before it run as they are
    go_on : let the script train on after the examination
    apart : in a child process: a crash ends the script alone, and what was found is kept
    on_report : gets the report as soon as it is there, before the script goes on

    The other parameters are those of :func:`check`, and stand above what the script says.

    Raises
    ------
    UntrainedError
        If the script ends without that training; ``status`` is the exit status.
    """
    asked = Request(
        model=None,
        files=files,
        split=split,
        masks=masks,
        loss=loss,
        optimizer=optimizer,
        metrics=metrics,
        from_logits=from_logits,
        learning_rate=learning_rate,
        num_classes=num_classes,
        ignore_label=ignore_label,
        history=history,
        epochs=epochs,
        steps_per_epoch=steps_per_epoch,
        device=device,
        trial=trial_of(trial),
        budget_given=trial != "auto" and trial is not True,
        select=names_of(select),
        ignore=names_of(ignore),
        fail_on=fail_on_of(fail_on),
        out=out,
        seed=seed,
        say=progress,
    )
    what = Script(os.fspath(script), tuple(args), module, fit, go_on)
    if apart:
        from segdoctor.examination.script_apart import ran_apart
        from segdoctor.report.ahead import load_ahead

        return ran_apart(what, asked, on_report, meanwhile=load_ahead)
    from segdoctor.examination.running import examine_script

    return examine_script(what, asked, on_report)


def inspect(
    path: str | os.PathLike[str],
    *,
    select: str | Iterable[str] = (),
    ignore: str | Iterable[str] = (),
    fail_on: str = "error",
    out: str | None = None,
    seed: int = 0,
) -> Report:
    """Read a ``.h5`` or ``.keras`` file as data: graph, weights, batch norm, compile settings.

    Nothing in the file is run and TensorFlow is not imported.

    Raises
    ------
    UserError
        If the file cannot be read; one line says why.
    """
    from segdoctor.examination.static import inspected

    chosen = chooser_of(select, ignore)
    if out is not None:
        from segdoctor.report.files import check_writable

        check_writable(out)
    return inspected(os.fspath(path), chosen, fail_on=fail_on, seed=seed)


def scan(
    folder: str | os.PathLike[str],
    *,
    num_classes: int | None = None,
    ignore_label: int | bool | None = None,
    label_map: str | Mapping[Any, int] | None = None,
    split: str | None = None,
    val_split: str | None = None,
    masks: str | None = None,
    images: str | None = None,
    pairs: str | None = None,
    scheduler: str | None = None,
    deep: bool = False,
    resume: bool = False,
    select: str | Iterable[str] = (),
    ignore: str | Iterable[str] = (),
    fail_on: str = "error",
    out: str | None = None,
    seed: int = 0,
    progress: Say = silent,
) -> Report:
    """Read a data set folder: pairs, splits, masks' ids. TensorFlow is not imported.

    ``images`` and ``masks`` name the folders, or ``pairs`` a list (CSV or text), where the guess
    of the layout is wrong. ``scheduler``: ``"dask"`` or the address of a Dask scheduler. ``deep``
    decodes every image. With ``resume``, what was seen of each file is noted in ``out``: another
    scan reads only what is new or changed, and one that was interrupted goes on.

    Raises
    ------
    UserError
        If there is no data set in the folder; one line says what was expected.
    """
    if resume and out is None:
        raise UserError("--resume notes what was seen beside the report: give --out FOLDER too.")
    from segdoctor.examination.static import scanned
    from segdoctor.report.ahead import load_ahead
    from segdoctor.report.files import check_writable

    chosen = chooser_of(select, ignore)
    if out is not None:
        check_writable(out)
        threading.Thread(target=load_ahead, daemon=True).start()
    return scanned(
        os.fspath(folder),
        chosen,
        fail_on=fail_on,
        seed=seed,
        num_classes=num_classes,
        ignore_label=ignore_label,
        progress=progress,
        options={
            "label_map": label_map,
            "split": split,
            "val_split": val_split,
            "masks": masks,
            "images": images,
            "pairs": pairs,
            "scheduler": scheduler,
            "deep": deep,
            "cache": out if resume else None,
        },
    )
