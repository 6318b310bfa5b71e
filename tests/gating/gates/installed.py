"""A module as an installed package may have one, which declares a gate."""

from gating.gates import AdaHedgeGate


class Installed(AdaHedgeGate, key="installed"):
    pass
