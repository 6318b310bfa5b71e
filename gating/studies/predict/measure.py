"""What is predicted without training, and of stylized models that are trained in the Transformer's place."""

from collections.abc import Iterator
from functools import lru_cache, partial

from gating.evaluation.measures import Row
from gating.results.table import make_table
from gating.runs.ensemble import Ensemble
from gating.runs.executor import Resources
from gating.runs.store import Place
from gating.settings.text import as_plain
from gating.studies.level import level_crossovers
from gating.studies.predict.config import PredictConfig
from gating.studies.replicas import Replica, input_shape
from gating.studies.stylized import models_at, stylized_model, trained_rows, trainer_of
from gating.studies.vocabulary import refusals
from gating.training.trained import Trained
from theory.distribution import ClassMixture
from theory.handover import handover_error

__all__ = ["ROWS", "ensemble", "keep_measures", "theory_rows"]

ROWS = "rows"


@lru_cache(maxsize=4)
def theory_rows(config: PredictConfig) -> tuple[Row, ...]:
    """N* of each group by theory alone: where an in-weight error falls to the level, and to that of the handover.

    Systems are the learners of `gating.studies.level`. The level of the handover is the error below which weights win
    where the context does not answer, against a copier that is right as often as contexts are relevant.

    Raises:
        SpecError: theory refuses the settings.
    """
    with refusals():
        return tuple(_theory_rows(config))


def _theory_rows(config: PredictConfig) -> Iterator[Row]:
    spec = config.distribution
    handover = float(handover_error(_share(spec)))
    levels = [config.level, *([handover] if not spec.label_noise and 0 < handover < config.level else [])]
    for group in config.groups:
        place = {"study": "predict", "distribution": "ibd", "context": "irrelevant", "group": group, "kind": "exact",
                 "measure": "crossover_error_level"}  # fmt: skip
        for level in levels:
            found = level_crossovers(spec, group, level)
            yield from ({**place, "system": system, "level": level, "value": n} for system, n in found.items())


def ensemble(config: PredictConfig) -> Ensemble[Replica]:
    """The stylized models."""
    shared = {"hidden": config.hidden, "training": as_plain(config.training)}
    trainer = partial(trainer_of, partial(stylized_model, hidden=config.hidden), config.training)
    return Ensemble("stylized", config.replicas, trainer, shared, shape=input_shape)


def keep_measures(config: PredictConfig, first: int, place: Place, resources: Resources) -> None:
    """Keeps errors and gates of the models of one N at every checkpoint."""
    mine, trained = config.replicas[first : first + config.n_seeds], Trained(place, ensemble(config))
    build = partial(stylized_model, hidden=config.hidden)
    found = models_at(config.training.checkpoint_steps, build, trained, mine)
    same = ("beta", "temperature", "evaluation_seed", "evaluation_per_cell")
    rows = trained_rows(mine, found, {"study": "predict", "system": "stylized"}, groups=config.groups, own=True,
                        **{name: getattr(config, name) for name in same})  # fmt: skip
    place.save_table(ROWS, make_table(rows))


def _share(spec: ClassMixture) -> float:
    """Probability of a relevant context, over all queries."""
    return spec.p_relevant if spec.relevance == "context" else float(spec.group_mean(spec.relevant_shares, "all"))
