# What `gating` gives out, by the module that it comes from: read by type checkers, and by `theory.on_demand`.

# studies as functions: the same folder and report as the command of that name
from gating.runs.calls import (
    bounds as bounds,
    compare as compare,
    crossover as crossover,
    images as images,
    kinetics as kinetics,
    phases as phases,
    predict as predict,
    regret as regret,
    strategies as strategies,
)

from gating.runs.sweep import sweep as sweep

# contracts, and anybody's model
from gating.checks import (
    ContractBroken as ContractBroken,
    check_gate as check_gate,
    check_learned_gate as check_learned_gate,
    check_predictor as check_predictor,
    check_study as check_study,
    check_task as check_task,
)
from gating.evaluation.measure import measure as measure

# settings
from gating.studies.bounds.config import BoundsConfig as BoundsConfig
from gating.studies.compare.config import CompareConfig as CompareConfig
from gating.studies.crossover.config import CrossoverConfig as CrossoverConfig
from gating.studies.images.config import ImagesConfig as ImagesConfig
from gating.studies.kinetics.config import KineticsConfig as KineticsConfig
from gating.studies.phases.config import PhasesConfig as PhasesConfig
from gating.studies.predict.config import PredictConfig as PredictConfig
from gating.studies.regret.config import RegretConfig as RegretConfig
from gating.studies.strategies.config import StrategiesConfig as StrategiesConfig
from gating.training.schedule import TrainSettings as TrainSettings
from theory.distribution import ClassMixture as ClassMixture
from theory.settings import SpecError as SpecError

# results
from gating.results.query import last_step as last_step, select as select
from gating.results.table import make_table as make_table, summarise as summarise
from gating.runs.calls import read_results as read_results
from gating.runs.plot import plot as plot, save_plot as save_plot
from gating.runs.errors import (
    Damaged as Damaged,
    FolderError as FolderError,
    Interrupted as Interrupted,
    RunFailed as RunFailed,
)

# gates
from gating.gates import (
    AdaHedgeGate as AdaHedgeGate,
    BayesMixtureGate as BayesMixtureGate,
    ExponentialWeightsGate as ExponentialWeightsGate,
    GradientDescentGate as GradientDescentGate,
    LinearLossGate as LinearLossGate,
    LogLossGate as LogLossGate,
    OnlineGate as OnlineGate,
    PosteriorGate as PosteriorGate,
    PosteriorParameters as PosteriorParameters,
    UniversalPortfolioGate as UniversalPortfolioGate,
)
from gating.gates.effective import (
    EffectiveGate as EffectiveGate,
    effective_gate as effective_gate,
    effective_gate_squared as effective_gate_squared,
)
from gating.gates.effective_weights import (
    EffectiveWeights as EffectiveWeights,
    effective_weights as effective_weights,
)
from gating.gates.learned import MLPGate as MLPGate
from gating.gates.online import play as play
from gating.gates.predictor_weights import PredictorWeights as PredictorWeights
from gating.gates.stylized import StylizedModel as StylizedModel

# data, predictors, models
from gating.evaluation.relative_distance import relative_distance as relative_distance
from gating.models.transformer import Transformer as Transformer
from gating.predictors.in_context import SoftmaxSimilarity as SoftmaxSimilarity
from gating.predictors.in_weight import InWeightMLP as InWeightMLP, TabularInWeight as TabularInWeight
from gating.predictors.linear_regression import LinearAttention as LinearAttention
from gating.tasks.class_mixture import ClassMixtureSampler as ClassMixtureSampler
from gating.tasks.item_labels import ItemLabels as ItemLabels
from gating.tasks.linear_regression import LinearRegression as LinearRegression
from gating.tasks.sequences import Sequences as Sequences
from gating.tasks.urns import Urns as Urns
from gating.training.trainer import Trainer as Trainer

# images of characters
from gating.pictures.characters import (
    CharacterImages as CharacterImages,
    packaged_letters as packaged_letters,
    printed_kanji as printed_kanji,
    read_images as read_images,
)
from gating.pictures.features import Components as Components
from gating.pictures.one_shot import one_shot as one_shot
from gating.pictures.sampler import ImageMixtureSampler as ImageMixtureSampler

# a study of one's own
from gating.page.figures import Axis as Axis, Figure as Figure, Layer as Layer, Page as Page, Panel as Panel
from gating.page.names import System as System
from gating.results.columns import Column as Column, Measure as Measure, declare as declare
from gating.runs.calls import StudyFunction as StudyFunction, study_function as study_function
from gating.runs.catalogue import find_study as find_study
from gating.runs.ensemble import Ensemble as Ensemble
from gating.runs.executor import Part as Part, Resources as Resources
from gating.training.trained import Trained as Trained
from gating.runs.study import Estimate as Estimate, Study as Study

__version__: str
