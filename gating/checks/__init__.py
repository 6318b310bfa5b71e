"""Contracts of gates, tasks, predictors and studies, each with a checker that tries it on anybody's own."""

from gating.checks.contract import Contract, ContractBroken
from gating.checks.gates import GATE_CONTRACT, check_gate
from gating.checks.predictors import PREDICTOR_CONTRACT, check_learned_gate, check_predictor
from gating.checks.studies import STUDY_CONTRACT, check_study
from gating.checks.tasks import TASK_CONTRACT, check_task

__all__ = [
    "GATE_CONTRACT",
    "PREDICTOR_CONTRACT",
    "STUDY_CONTRACT",
    "TASK_CONTRACT",
    "Contract",
    "ContractBroken",
    "check_gate",
    "check_learned_gate",
    "check_predictor",
    "check_study",
    "check_task",
]
