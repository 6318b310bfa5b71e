"""Gates: the weight alpha in [0, 1] of the in-weight predictor."""

from gating.gates.adahedge import AdaHedgeGate
from gating.gates.bayes_mixture import BayesMixtureGate
from gating.gates.exponential_weights import ExponentialWeightsGate
from gating.gates.gradient_descent import GradientDescentGate
from gating.gates.online import LinearLossGate, LogLossGate, OnlineGate, Tuning
from gating.gates.posterior import PosteriorGate, PosteriorParameters
from gating.gates.registry import find_gate, gate_names
from gating.gates.universal_portfolio import UniversalPortfolioGate

__all__ = [
    "AdaHedgeGate",
    "BayesMixtureGate",
    "ExponentialWeightsGate",
    "GradientDescentGate",
    "LinearLossGate",
    "LogLossGate",
    "OnlineGate",
    "PosteriorGate",
    "PosteriorParameters",
    "Tuning",
    "UniversalPortfolioGate",
    "find_gate",
    "gate_names",
]
