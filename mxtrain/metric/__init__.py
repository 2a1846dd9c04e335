"""Running metrics: how good the predictions of the batches so far were.

>>> import numpy as np
>>> metric = create("acc")
>>> metric.update([np.array([1, 0])], [np.array([[0.3, 0.7], [0.4, 0.6]])])
>>> metric.get()
('accuracy', 0.5)
"""

from __future__ import annotations

from mxtrain.metric.base import EvalMetric, PooledMetric, SumMetric, register, registry
from mxtrain.metric.binary import F1, MCC
from mxtrain.metric.classification import (
    Accuracy,
    CrossEntropy,
    NegativeLogLikelihood,
    Perplexity,
    TopKAccuracy,
)
from mxtrain.metric.composite import CompositeEvalMetric, create
from mxtrain.metric.correlation import PCC, PearsonCorrelation
from mxtrain.metric.custom import CustomMetric, np
from mxtrain.metric.loss import Caffe, Loss, Torch
from mxtrain.metric.regression import MAE, MSE, RMSE

__all__ = [
    "F1",
    "MAE",
    "MCC",
    "MSE",
    "PCC",
    "RMSE",
    "Accuracy",
    "Caffe",
    "CompositeEvalMetric",
    "CrossEntropy",
    "CustomMetric",
    "EvalMetric",
    "Loss",
    "NegativeLogLikelihood",
    "PearsonCorrelation",
    "Perplexity",
    "PooledMetric",
    "SumMetric",
    "TopKAccuracy",
    "Torch",
    "create",
    "np",
    "register",
    "registry",
]
