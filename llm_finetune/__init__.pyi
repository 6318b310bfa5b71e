# What `llm_finetune` gives out, by the module that it comes from: read by type checkers, and by `theory.on_demand`.

# the study as a function: the same folder and report as `gating finetune`
from llm_finetune.config import FinetuneConfig as FinetuneConfig
from llm_finetune.settings import DataSettings as DataSettings, FinetuneSettings as FinetuneSettings
from llm_finetune.study import finetune_study as finetune_study

# the study of any fine-tune as a function, and what watches a training of one's own
from llm_finetune.probe.callback import InContextProbe as InContextProbe
from llm_finetune.probe.config import ProbeConfig as ProbeConfig
from llm_finetune.probe.study import probe_study as probe_study

# the study of demonstrations as a function
from llm_finetune.demonstrations.config import DemonstrationsConfig as DemonstrationsConfig
from llm_finetune.demonstrations.study import demonstrations_study as demonstrations_study

# knowledge against context: the study as a function, gates on two forward passes, and suites
from llm_finetune.conflict.config import ConflictConfig as ConflictConfig
from llm_finetune.conflict.gates import (
    context_aware_decoding as context_aware_decoding,
    contextual_calibration as contextual_calibration,
    percentile_gate as percentile_gate,
    posterior_gate as posterior_gate,
    probability_gate as probability_gate,
)
from llm_finetune.conflict.importers import load_conflict_suite as load_conflict_suite
from llm_finetune.conflict.responses import clasheval_table as clasheval_table
from llm_finetune.conflict.study import conflict_study as conflict_study

# the study of when weights take over, predicted and measured
from llm_finetune.handover.config import HandoverConfig as HandoverConfig
from llm_finetune.handover.study import handover_study as handover_study

# facts and prompts
from llm_finetune.collection import (
    Collection as Collection,
    Fact as Fact,
    load_collection as load_collection,
    write_collection as write_collection,
)
from llm_finetune.collection_suites import (
    CollectionSuite as CollectionSuite,
    load_collection_suite as load_collection_suite,
)
from llm_finetune.invented import generate_collection as generate_collection
from llm_finetune.mixtures import Mixture as Mixture, PromptStream as PromptStream
from llm_finetune.prompts import Example as Example, Prompter as Prompter
from llm_finetune.own_data import data_rows as data_rows

# models and their answers
from llm_finetune.models import LanguageModel as LanguageModel, load_model as load_model
from llm_finetune.score import (
    CandidateScores as CandidateScores,
    generate as generate,
    score_candidates as score_candidates,
)

__version__: str
