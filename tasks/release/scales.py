"""How far rounding can move each output of a network: the scale on which two computations are compared.

Two sound ways to compute a network in float32 sum the same terms in another order. A sum of products in
whatever order is the exact sum for weights that are each off by a small share, fl(x'w) = x'(w + d) with
|d| <= gamma_n |w| (Higham, Accuracy and Stability of Numerical Algorithms, 2002, section 3.1). So how far
rounding can move an output is how far small relative changes of the weights move it: that is measured, with
no knowledge of what the network is made of.

Each weight w_i is changed by a share e with a random sign. The change of an output y then has the standard
deviation e * scale, where scale^2 is the sum of (w_i dy/dw_i)^2. For one product that is the sum of its
squared terms: it stays large where large terms cancel and leave a small y, whose own size tells nothing.

How far rounding does move it: each of n additions errs by at most a share u = 2^-24 of the sum so far, and
the errors are as good as independent (Higham and Mary, A New Approach to Probabilistic Rounding Error
Analysis, 2019). Terms of either sign in no order make the k-th sum about (k/n)^(1/2) scale, so their errors
have a standard deviation of at most u (n/2)^(1/2) scale; terms of one sign make no sum greater than |y|, so
it is at most u n^(1/2) |y|. Together: u n^(1/2) (|y| + scale). A tolerance of 1e-4 (|y| + scale) is a hundred
times that for sums of 300 terms and eighteen times for sums of 8,192. A layer whose weights are 1 % off moves
the output by up to a hundred times the tolerance.

One number is kept for an output: the root of the mean of scale^2 over its values for rows of the training's
kind. Where a value moves more, as for rows of another kind, it mostly is greater too.
"""

from __future__ import annotations

import numpy as np

from tasks.release.inprocess import BATCH, Answers, in_batches
from tasks.release.signatures import Signed

SHARE = 2.0**-10  # far above the rounding of float32, and small enough for the change to be in proportion
DRAWS = 8
DIGITS = 3  # of what is kept


def measure_scales(signed: Signed, rows: np.ndarray) -> dict[str, float]:
    """Give the scale of every float output, by name, from float32 rows (N, ...).

    The same network and images give the same scales. Values that are not finite are left out; the weights
    are as before in the end.
    """
    variables = [variable for variable in signed.module.variables if variable.dtype.is_floating]
    weights = [variable.numpy() for variable in variables]
    wanted = _float_outputs(signed, rows)
    squares = {name: np.zeros(values.shape) for name, values in wanted.items()}
    random = np.random.default_rng(0)
    try:
        for _ in range(DRAWS):
            for variable, values in zip(variables, weights, strict=True):
                signs = 2 * random.integers(0, 2, values.shape, dtype=np.int8) - 1
                variable.assign(values * (1 + SHARE * signs.astype(values.dtype)))
            for name, values in _float_outputs(signed, rows).items():
                with np.errstate(invalid="ignore", over="ignore"):
                    squares[name] += np.square((values - wanted[name]) / SHARE) / DRAWS
    finally:
        for variable, values in zip(variables, weights, strict=True):
            variable.assign(values)
    return {name: _root_of_mean(values) for name, values in sorted(squares.items())}


def _float_outputs(signed: Signed, rows: np.ndarray) -> Answers:
    """Give what the signatures answer, as float64, without the outputs that are no floats."""
    given: Answers = {}
    for function in signed.functions.values():

        def call(part: np.ndarray, function: object = function) -> Answers:
            outputs = function(part)  # type: ignore[operator]  # a tf.ConcreteFunction
            return {name: output.numpy() for name, output in outputs.items() if output.dtype.is_floating}

        given |= in_batches(call, rows, BATCH)
    return {name: values.astype(np.float64) for name, values in given.items()}


def _root_of_mean(squares: np.ndarray) -> float:
    finite = squares[np.isfinite(squares)]
    return float(f"{np.sqrt(finite.mean()) if finite.size else 0.0:.{DIGITS}g}")
