"""Every update rule restated in float64, in the plainest way, for one parameter.

Written from the specification and, for what MXNet does not have, from the papers, without a look
at the code under test. Each takes the weight `w`, the raw gradient `g`, a `memory` that is empty
at first, and the settings `p` (by name, with the rate ``lr`` and the count
``t``), and returns the new weight.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = Any
Memory = dict[str, Any]
Settings = dict[str, Any]


def kernel_clip(x: Array, limit: float | None) -> Array:
    """Clipping of the kernel style: None, 0 and negative limits mean none."""
    return x if limit is None or limit <= 0 else np.clip(x, -limit, limit)


def array_clip(x: Array, limit: float | None) -> Array:
    """Clipping of the array style: only None means none."""
    return x if limit is None else np.clip(x, -limit, limit)


def average(memory: Memory, name: str, share: float, value: Array) -> Array:
    """Move an exponential average that starts at zero."""
    memory[name] = share * memory.get(name, 0) + (1 - share) * value
    return memory[name]


def rounded(value: float) -> float:
    """Round to float32, as MXNet's kernels do with every scalar."""
    return float(np.float32(value))


# -- rules of the specification, section 5 -----------------------------------------------------


def sgd(w: Array, g: Array, memory: Memory, p: Settings) -> Array:
    grad = kernel_clip(p["rescale_grad"] * g, p["clip_gradient"])
    if p["momentum"] == 0:
        return w - p["lr"] * (grad + p["wd"] * w)
    velocity = memory.get("v", 0) * p["momentum"] - p["lr"] * (p["wd"] * w + grad)
    memory["v"] = velocity
    return w + velocity


def nag(w: Array, g: Array, memory: Memory, p: Settings) -> Array:
    grad = kernel_clip(p["rescale_grad"] * g, p["clip_gradient"])
    if p["momentum"] == 0:
        return w - p["lr"] * (grad + p["wd"] * w)
    velocity = p["momentum"] * memory.get("v", 0)
    ahead = velocity - p["lr"] * (grad + p["wd"] * w)
    new = w - velocity + (p["momentum"] + 1) * ahead
    memory["v"] = velocity - p["lr"] * (grad + p["wd"] * new)
    return new


def rmsprop(w: Array, g: Array, memory: Memory, p: Settings) -> Array:
    grad = kernel_clip(p["rescale_grad"] * g + p["wd"] * w, p["clip_gradient"])
    n = average(memory, "n", p["gamma1"], grad**2)
    if p["centered"]:
        a = average(memory, "a", p["gamma1"], grad)
        step = p["lr"] * grad / np.sqrt(n - a**2 + p["epsilon"])
        memory["delta"] = p["gamma2"] * memory.get("delta", 0) - step
        w = w + memory["delta"]
    else:
        w = w - p["lr"] * grad / np.sqrt(n + p["epsilon"])
    limit = p["clip_weights"]
    return np.clip(w, -limit, limit) if limit else w


def adam(w: Array, g: Array, memory: Memory, p: Settings) -> Array:
    grad = kernel_clip(p["rescale_grad"] * g + p["wd"] * w, p["clip_gradient"])
    m = average(memory, "m", p["beta1"], grad)
    v = average(memory, "v", p["beta2"], grad**2)
    rate = p["lr"] * np.sqrt(1 - p["beta2"] ** p["t"]) / (1 - p["beta1"] ** p["t"])
    return w - rate * m / (np.sqrt(v) + p["epsilon"])


def adagrad(w: Array, g: Array, memory: Memory, p: Settings) -> Array:
    grad = array_clip(p["rescale_grad"] * g, p["clip_gradient"])
    memory["h"] = h = memory.get("h", 0) + grad**2
    return w - p["lr"] * (grad / np.sqrt(h + p["eps"]) + p["wd"] * w)


def adadelta(w: Array, g: Array, memory: Memory, p: Settings) -> Array:
    grad = array_clip(p["rescale_grad"] * g, p["clip_gradient"])
    r, epsilon = p["rho"], p["epsilon"]
    a = average(memory, "a", r, grad**2)
    delta = np.sqrt(memory.get("b", 0) + epsilon) / np.sqrt(a + epsilon) * grad
    average(memory, "b", r, delta**2)
    return w - delta - p["wd"] * w


def lars(w: Array, g: Array, memory: Memory, p: Settings) -> Array:
    rate, before = p["lr"], memory.get("rate", p["lr"])
    memory["rate"] = rate
    momentum = p["momentum"]
    if p["momentum_correction"] and before != 0:
        momentum = momentum * rate / before
    size, slope = np.sqrt((w**2).sum()), np.sqrt((g**2).sum())
    below = p["rescale_grad"] * slope + p["wd"] * size + p["eps"]
    if size > 0 and slope > 0 and below != 0:  # MXNet divides by 0
        rate = rate * p["eta"] * size / below
    grad = kernel_clip(p["rescale_grad"] * g, p["clip_gradient"])
    velocity = momentum * memory.get("v", 0) - rate * (p["wd"] * w + grad)
    memory["v"] = velocity
    return w + velocity


def lbsgd(w: Array, g: Array, memory: Memory, p: Settings) -> Array:
    scale, end = p["batch_scale"], p["warmup_epochs"] * p["updates_per_epoch"]
    memory["k"] = k = memory.get("k", p["begin_epoch"] * p["updates_per_epoch"]) + 1
    memory["sum"] = memory.get("sum", 0) + g
    if k % scale:
        return w
    mean = memory["sum"] / scale
    memory["sum"] = 0
    if p["warmup_strategy"] == "lars":
        size, slope = (w**2).sum(), (mean**2).sum()
        factor = np.clip(np.sqrt(size / (slope + p["wd"] * size + 1e-18)), 0.01, 100)
    elif k >= end:
        factor = scale
    elif end <= 1:
        factor = 1
    else:
        progress = {"linear": k / end, "power2": k**2 / end**2, "sqrt": np.sqrt(k / end)}
        factor = 1 + (scale - 1) * progress.get(p["warmup_strategy"], 0)
    return sgd(w, mean, memory, p | {"lr": p["lr"] * factor})


def lamb(w: Array, g: Array, memory: Memory, p: Settings) -> Array:
    grad = kernel_clip(p["rescale_grad"] * g, p["clip_gradient"])
    b1, b2 = rounded(p["beta1"]), rounded(p["beta2"])
    m = average(memory, "m", b1, grad)
    v = average(memory, "v", b2, grad**2)
    if p["bias_correction"]:
        m, v = m / (1 - b1 ** p["t"]), v / (1 - b2 ** p["t"])
    u = m / (np.sqrt(v) + p["epsilon"]) + p["wd"] * w
    size, length = np.sqrt((w**2).sum()), np.sqrt((u**2).sum())
    if p["lower_bound"]:
        size = max(size, p["lower_bound"])
    if p["upper_bound"]:
        size = min(size, p["upper_bound"])
    ratio = size / length if size > 0 and length > 0 else 1
    return w - p["lr"] * ratio * u


def dcasgd(w: Array, g: Array, memory: Memory, p: Settings) -> Array:
    grad = array_clip(p["rescale_grad"] * g, p["clip_gradient"])
    delay = w - memory.get("previous", w)
    step = -p["lr"] * (grad + p["wd"] * w + p["lamda"] * grad**2 * delay)
    memory["m"] = m = p["momentum"] * memory.get("m", 0) + step
    memory["previous"] = w
    return w + m


def sgld(w: Array, g: Array, memory: Memory, p: Settings) -> Array:
    grad = array_clip(p["rescale_grad"] * g, p["clip_gradient"])
    return w - p["lr"] / 2 * (grad + p["wd"] * w) + np.sqrt(p["lr"]) * p["noise"]


def signum(w: Array, g: Array, memory: Memory, p: Settings) -> Array:
    if p["momentum"] == 0:
        return (1 - p["lr"] * p["wd"]) * w - p["lr"] * np.sign(g)
    grad = kernel_clip(p["rescale_grad"] * g, p["clip_gradient"])
    s = average(memory, "s", p["momentum"], -(p["wd"] * w + grad))
    return (1 - p["lr"] * p["wd_lh"]) * w + p["lr"] * np.sign(s)


def ftml(w: Array, g: Array, memory: Memory, p: Settings) -> Array:
    return w if p["lr"] == 0 else ftml_as_in_mxnet(w, g, memory, p)


def ftml_as_in_mxnet(w: Array, g: Array, memory: Memory, p: Settings) -> Array:
    """NaN at rate 0."""
    grad = kernel_clip(p["rescale_grad"] * g + p["wd"] * w, p["clip_gradient"])
    b1, b2 = rounded(p["beta1"]), rounded(p["beta2"])
    v = average(memory, "v", b2, grad**2)
    d = (1 - b1 ** p["t"]) / p["lr"] * (np.sqrt(v / (1 - b2 ** p["t"])) + p["epsilon"])
    z = b1 * memory.get("z", 0) + (1 - b1) * grad - (d - b1 * memory.get("d", 0)) * w
    memory["d"], memory["z"] = d, z
    return -z / d


def ftrl(w: Array, g: Array, memory: Memory, p: Settings) -> Array:
    return w if p["lr"] == 0 else ftrl_as_in_mxnet(w, g, memory, p)


def ftrl_as_in_mxnet(w: Array, g: Array, memory: Memory, p: Settings) -> Array:
    """NaN at rate 0."""
    grad = kernel_clip(p["rescale_grad"] * g, p["clip_gradient"])
    n, z = memory.get("n", 0 * w), memory.get("z", 0)
    memory["z"] = z = z + grad - (np.sqrt(n + grad**2) - np.sqrt(n)) * w / p["lr"]
    memory["n"] = n = n + grad**2
    at_zero = np.abs(z) <= p["lamda1"]
    below = np.where(at_zero, 1, (p["beta"] + np.sqrt(n)) / p["lr"] + p["wd"])
    return np.where(at_zero, 0, (np.sign(z) * p["lamda1"] - z) / below)


def adamax(w: Array, g: Array, memory: Memory, p: Settings) -> Array:
    with np.errstate(invalid="ignore"):
        new = adamax_as_in_mxnet(w, g, memory, p)
    return np.where(memory["u"] > 0, new, w)


def adamax_as_in_mxnet(w: Array, g: Array, memory: Memory, p: Settings) -> Array:
    """0/0 where the gradient has always been zero."""
    grad = array_clip(p["rescale_grad"] * g + p["wd"] * w, p["clip_gradient"])
    m = average(memory, "m", p["beta1"], grad)
    memory["u"] = u = np.maximum(p["beta2"] * memory.get("u", 0), np.abs(grad))
    return w - p["lr"] / (1 - p["beta1"] ** p["t"]) * m / u


def nadam(w: Array, g: Array, memory: Memory, p: Settings) -> Array:
    grad = array_clip(p["rescale_grad"] * g + p["wd"] * w, p["clip_gradient"])
    t, s, b1, b2 = p["t"], p["schedule_decay"], p["beta1"], p["beta2"]
    now = b1 * (1 - 0.5 * 0.96 ** (t * s))
    following = b1 * (1 - 0.5 * 0.96 ** ((t + 1) * s))
    memory["M"] = product = memory.get("M", 1) * now
    m = average(memory, "m", b1, grad)
    v = average(memory, "v", b2, grad**2)
    ahead = (1 - now) * grad / (1 - product) + following * m / (1 - product * following)
    return w - p["lr"] * ahead / (np.sqrt(v / (1 - b2**t)) + p["epsilon"])


def groupadagrad(w: Array, g: Array, memory: Memory, p: Settings) -> Array:
    grad = array_clip(p["rescale_grad"] * g, p["clip_gradient"])
    memory["h"] = h = memory.get("h", 0) + (grad**2).mean(axis=1, keepdims=True)
    return w - p["lr"] * grad / np.sqrt(h + p["eps"])


# -- rules from papers -------------------------------------------------------------------------


def corrected(value: Array, share: float, t: int) -> Array:
    """Correct an average for its start at zero."""
    return value / (1 - share**t)


def adamw(w: Array, g: Array, memory: Memory, p: Settings) -> Array:
    """Algorithm 2 of arXiv:1711.05101, the epsilon beside the uncorrected root."""
    grad = kernel_clip(p["rescale_grad"] * g, p["clip_gradient"])
    m = average(memory, "m", p["beta1"], grad)
    v = average(memory, "v", p["beta2"], grad**2)
    epsilon = p["epsilon"]
    if p["bias_correction"]:
        epsilon = epsilon / np.sqrt(1 - p["beta2"] ** p["t"])
        m, v = corrected(m, p["beta1"], p["t"]), corrected(v, p["beta2"], p["t"])
    return w - p["lr"] * (m / (np.sqrt(v) + epsilon) + p["wd"] * w)


def adabelief(w: Array, g: Array, memory: Memory, p: Settings) -> Array:
    """Algorithm 2 of arXiv:2010.07468."""
    grad = kernel_clip(p["rescale_grad"] * g, p["clip_gradient"])
    m = average(memory, "m", p["beta1"], grad)
    memory["s"] = s = average(memory, "s", p["beta2"], (grad - m) ** 2) + p["epsilon"]
    m, s = corrected(m, p["beta1"], p["t"]), corrected(s, p["beta2"], p["t"])
    return w - p["lr"] * (m / (np.sqrt(s) + p["epsilon"]) + p["wd"] * w)


def radam(w: Array, g: Array, memory: Memory, p: Settings) -> Array:
    """Algorithm 2 of arXiv:1908.03265, with an epsilon in the adaptive rate."""
    grad = kernel_clip(p["rescale_grad"] * g, p["clip_gradient"])
    t, b2 = p["t"], p["beta2"]
    m = corrected(average(memory, "m", p["beta1"], grad), p["beta1"], t)
    v = average(memory, "v", b2, grad**2)
    longest = 2 / (1 - b2) - 1
    length = longest - 2 * t * b2**t / (1 - b2**t)
    step = m
    if length > 4:
        above = (length - 4) * (length - 2) * longest
        below = (longest - 4) * (longest - 2) * length
        step = np.sqrt(above / below) * m / (np.sqrt(corrected(v, b2, t)) + p["epsilon"])
    return w - p["lr"] * (step + p["wd"] * w)


def lion(w: Array, g: Array, memory: Memory, p: Settings) -> Array:
    """Algorithm 2 of arXiv:2302.06675."""
    grad = kernel_clip(p["rescale_grad"] * g, p["clip_gradient"])
    mixed = p["beta1"] * memory.get("m", 0) + (1 - p["beta1"]) * grad
    average(memory, "m", p["beta2"], grad)
    return w - p["lr"] * (np.sign(mixed) + p["wd"] * w)


def adan(w: Array, g: Array, memory: Memory, p: Settings) -> Array:
    """Algorithm 1 of arXiv:2208.06677 with shares kept for betas, averages corrected."""
    grad = kernel_clip(p["rescale_grad"] * g, p["clip_gradient"])
    b1, b2, b3, t = p["beta1"], p["beta2"], p["beta3"], p["t"]
    change = grad - memory.get("grad", grad)
    memory["grad"] = grad
    m = corrected(average(memory, "m", b1, grad), b1, t)
    v = corrected(average(memory, "v", b2, change), b2, t)
    n = corrected(average(memory, "n", b3, (grad + b2 * change) ** 2), b3, t)
    rate = p["lr"] / (np.sqrt(n) + p["epsilon"])
    return (w - rate * (m + b2 * v)) / (1 + p["lr"] * p["wd"])


def muon(w: Array, g: Array, memory: Memory, p: Settings) -> Array:
    """Jordan 2024; the Newton-Schulz polynomial is applied to the singular values."""
    grad = kernel_clip(p["rescale_grad"] * g, p["clip_gradient"])
    share = p["momentum"]
    m = average(memory, "m", share, grad)
    ahead = (1 - share) * grad + share * m if p["nesterov"] else m
    left, values, right = np.linalg.svd(ahead, full_matrices=False)
    length = np.sqrt((values**2).sum())
    values = values / length if length > 0 else values
    for _ in range(p["ns_steps"]):
        values = 3.4445 * values - 4.7750 * values**3 + 2.0315 * values**5
    rows, columns = w.shape
    step = max(1, rows / columns) ** 0.5 * (left * values) @ right
    return (1 - p["lr"] * p["wd"]) * w - p["lr"] * step
