"""The recorded runs of golden/fits, and how to repeat one."""

from __future__ import annotations

import functools
import json
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from mxtrain import lr_scheduler, metric, nd, optimizer
from mxtrain import symbol as sym
from mxtrain.io import NDArrayIter
from mxtrain.module import Module
from mxtrain.op import registry as operators

FOLDER = Path(__file__).parent.parent / "golden" / "fits"
RUNS: dict[str, dict[str, Any]] = {
    run["id"]: run for run in json.loads((FOLDER / "fits.json").read_text())["fits"]
}


@functools.cache
def weights() -> dict[str, np.ndarray]:
    with np.load(FOLDER / "weights.npz") as file:
        return dict(file)


@functools.cache
def blobs() -> dict[str, np.ndarray]:
    with np.load(FOLDER / "blobs.npz") as file:
        return dict(file)


def missing(run: dict[str, Any]) -> list[str]:
    """What a run needs that is not registered: operators, an optimizer."""
    text = (FOLDER / f"{run['net']}-symbol.json").read_text()
    needed = set(re.findall(r'"op": "(\w+)"', text)) - {"null"}
    absent = sorted(name for name in needed if name not in operators)
    if run["optimizer"] not in optimizer.registry:
        absent.append(run["optimizer"])
    return absent


def symbol_of(run: dict[str, Any]) -> sym.Symbol:
    return sym.load(str(FOLDER / f"{run['net']}-symbol.json"))


def label_names(run: dict[str, Any]) -> list[str]:
    names = run["label_name"]
    return [names] if isinstance(names, str) else names


def initial(run: dict[str, Any], symbol: sym.Symbol) -> tuple[dict[str, Any], dict[str, Any]]:
    prefix = f"{run['net']}/init/"
    start = {k.removeprefix(prefix): v for k, v in weights().items() if k.startswith(prefix)}
    auxiliary = {name: start.pop(name) for name in symbol.list_auxiliary_states()}
    return start, auxiliary


def iterators(run: dict[str, Any], dtype: str = "float32") -> tuple[NDArrayIter, NDArrayIter]:
    """Return the iterators of training and validation."""
    arrays = blobs()
    meaning = {"lin_label": "target", "target": "target"}
    made = []
    border = run["train_samples"]
    for rows, handle in (
        (slice(0, border), run["last_batch_handle"]),
        (slice(border, border + run["validation_samples"]), "pad"),
    ):
        data = nd.array(arrays["X"][rows], dtype=dtype)
        labels = {
            name: nd.array(arrays[meaning.get(name, "y")][rows], dtype=dtype)
            for name in label_names(run)
        }
        made.append(NDArrayIter(data, labels, run["batch_size"], last_batch_handle=handle))
    return made[0], made[1]


def metric_of(run: dict[str, Any]) -> Any:
    """Return the metric named by a run: ``name`` or ``name on output[/label]``."""
    members = []
    for text in run["metric"]:
        name, _, place = text.partition(" on ")
        output, _, label = place.partition("/")
        names: dict[str, Any] = {"output_names": [output]} if output else {}
        if label:
            names["label_names"] = [label]
        members.append(metric.create(name, **names))
    return metric.CompositeEvalMetric(members)


def optimizer_params(run: dict[str, Any]) -> dict[str, Any]:
    params = dict(run["optimizer_params"] or {})
    if run["scheduler"]:
        cls, arguments = run["scheduler"]
        params["lr_scheduler"] = getattr(lr_scheduler, cls)(**arguments)
    return params


def chosen_optimizer(
    run: dict[str, Any], symbol: sym.Symbol, params: list[str], cls: Any
) -> dict[str, Any]:
    """Return the arguments of `fit`: the run's optimizer, or an object of `cls` like it."""
    if cls is None:
        chosen = {"optimizer": run["optimizer"]}
        if run["optimizer_params"] is not None:
            chosen["optimizer_params"] = optimizer_params(run)
        return chosen
    settings = {"learning_rate": 0.01} if run["optimizer_params"] is None else {}
    names = [name for name in symbol.list_arguments() if name in params]
    made = cls(
        sym=symbol,
        param_idx2name=dict(enumerate(names)),
        **{"rescale_grad": 1 / run["batch_size"], **settings, **optimizer_params(run)},
    )
    return {"optimizer": made}


class Repeated:
    """A run done here: what was recorded there, under the same names."""

    def __init__(
        self, run: dict[str, Any], dtype: str = "float32", optimizer_class: Any = None
    ) -> None:
        self.weights: list[dict[str, np.ndarray]] = []
        self.num_update: list[int] = []
        self.lr_per_batch: list[list[float]] = [
            [] for _ in range(run["begin_epoch"], run["num_epoch"])
        ]
        self.train: list[Any] = []
        self.validation: list[Any] = []
        symbol = symbol_of(run)
        self.module = Module(
            symbol,
            label_names=label_names(run),
            fixed_param_names=run["fixed_param_names"],
            state_names=run["state_names"],
        )
        train, self.held_out = iterators(run, dtype)
        arg_params, aux_params = initial(run, symbol)
        with warnings.catch_warnings():
            # A scheduler's base_lr is replaced by the optimizer's rate, with a warning.
            warnings.filterwarnings("ignore", message=".*base_lr", category=UserWarning)
            chosen = chosen_optimizer(run, symbol, list(arg_params), optimizer_class)
            self.first_epoch = run["begin_epoch"]
            self.module.fit(
                train,
                eval_data=self.held_out,
                eval_metric=metric_of(run),
                validation_metric=metric_of(run),
                kvstore=None if run["id"] == "kvstore_none" else "local",
                arg_params=arg_params,
                aux_params=aux_params,
                begin_epoch=run["begin_epoch"],
                num_epoch=run["num_epoch"],
                batch_end_callback=self._after_batch,
                epoch_end_callback=self._after_epoch,
                eval_end_callback=lambda p: self.validation.append(p.eval_metric.get_name_value()),
                **chosen,
            )
        self.score_again = self.module.score(self.held_out, metric_of(run))

    def _after_batch(self, param: Any) -> None:
        rate = self.module.optimizer.learning_rate
        self.lr_per_batch[param.epoch - self.first_epoch].append(rate)
        if param.nbatch == 0:
            self.train.append(None)
        self.train[-1] = param.eval_metric.get_global_name_value()

    def _after_epoch(self, epoch: int, symbol: Any, arg_params: Any, aux_params: Any) -> None:
        named = {**arg_params, **aux_params}
        self.weights.append({name: array.asnumpy() for name, array in named.items()})
        self.num_update.append(self.module.optimizer.num_update)
