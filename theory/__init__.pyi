# What `theory` gives out, by the module that it comes from: read by type checkers, and by `theory.on_demand`.

# data and labels
from theory.distribution import ClassMixture as ClassMixture
from theory.labels import LabelLaw as LabelLaw, class_label_law as class_label_law, label_law as label_law
from theory.settings import SpecError as SpecError

# exact risks, and bounds of both predictors
from theory.curves import in_context_risk as in_context_risk, in_weight_risk as in_weight_risk, risk_rows as risk_rows
from theory.in_context_bounds import squared_distance_bounds as squared_distance_bounds
from theory.in_weight import exact_missing_mass as exact_missing_mass, tabular_risk as tabular_risk
from theory.phases import RiskBounds as RiskBounds, risk_bounds as risk_bounds
from theory.noisy_inputs import (
    noisy_input_bounds as noisy_input_bounds,
    noisy_input_crossover as noisy_input_crossover,
    noisy_input_error as noisy_input_error,
)
from theory.softmax_regression import SoftmaxRisk as SoftmaxRisk, softmax_regression_risk as softmax_regression_risk

# statements of the literature, as printed
from theory.published import corollary_1 as corollary_1, proposition_1 as proposition_1

# where weights overtake the context: certified phases, crossovers
from theory.crossovers import (
    Crossover as Crossover,
    crossover as crossover,
    error_crossover as error_crossover,
    largest_label_noise as largest_label_noise,
    smallest_context as smallest_context,
    smallest_sample as smallest_sample,
)
from theory.phases import Comparison as Comparison, PhaseDiagram as PhaseDiagram, phase_diagram as phase_diagram

# the best gate in hindsight
from theory.gate_cells import GateCells as GateCells
from theory.handover import (
    handover_error as handover_error,
    keeping_share as keeping_share,
    optimal_handover as optimal_handover,
)
from theory.oracle import OracleGate as OracleGate, SolverError as SolverError, oracle_gate as oracle_gate
from theory.oracle_mixtures import OracleWeights as OracleWeights, oracle_weights as oracle_weights
from theory.simplex import SimplexWeights as SimplexWeights, simplex_weights as simplex_weights

# regret of online gates, and what it says of risks
from theory.composition import (
    cells_bound as cells_bound,
    composition_bound as composition_bound,
    online_to_batch_bound as online_to_batch_bound,
)
from theory.mixture_regret import (
    bayes_mixture_bound as bayes_mixture_bound,
    kt_bound as kt_bound,
    laplace_bound as laplace_bound,
    universal_portfolio_bound as universal_portfolio_bound,
)
from theory.regret import (
    adahedge_bound as adahedge_bound,
    exponential_weights_bound as exponential_weights_bound,
    gradient_descent_bound as gradient_descent_bound,
    two_expert_lower_bound as two_expert_lower_bound,
)

# regression in context by linear attention
from theory.linear_attention import (
    icl_error as icl_error,
    idg_error as idg_error,
    linear_attention_phases as linear_attention_phases,
    memory_free_error as memory_free_error,
    ridge_error as ridge_error,
)

# learning from weights and from context over training steps
from theory.item_kinetics import (
    acquisition_time as acquisition_time,
    critical_items as critical_items,
    final_attention as final_attention,
)
from theory.kinetics import Kinetics as Kinetics, class_mixture_kinetics as class_mixture_kinetics

# when training goes from generalizing to memorizing
from theory.strategies import (
    TransitionExponent as TransitionExponent,
    price_of_memory as price_of_memory,
    transition_exponent as transition_exponent,
    transition_time as transition_time,
)

__version__: str
