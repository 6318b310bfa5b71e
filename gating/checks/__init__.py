"""Contracts of gates, each with a checker that tries it on anybody's own."""

from gating.checks.contract import Contract, ContractBroken
from gating.checks.gates import GATE_CONTRACT, check_gate

__all__ = ["GATE_CONTRACT", "Contract", "ContractBroken", "check_gate"]
