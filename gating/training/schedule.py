"""How an ensemble is trained, and at which steps it is kept."""

from typing import Annotated, Literal

from pydantic import Field

from gating.training.descent import DescentSettings
from theory.settings import settings
from theory.validation import require_integer

__all__ = ["TrainSettings", "square_root_schedule"]


MatmulPrecision = Literal["highest", "high", "medium", "bfloat16"]
MOST_CHECKPOINTS = 2**20


@settings
class TrainSettings(DescentSettings):
    """How an ensemble is trained; `batch_size` is that of each replica.

    Args:
        checkpoints: how many checkpoints to keep, spaced evenly in the square root of the step, in
            1 .. 2^20.
        matmul_precision: of matrix products. ``highest``, ``high`` and ``medium`` are torch's names: less than
            ``highest`` lets a processor that has shorter formats use them inside a product; one that has none may still
            take a faster kernel; threads in other precisions wait meanwhile, torch having one for the process.
            ``bfloat16`` rounds what goes into a product and what comes out, on any processor;
            parameters, the stream, norms, softmax, read-out, loss and the optimizer stay as they are.
        compiled: whether the gradient is compiled, once for each group, by ``torch.compile``'s compiler; it needs a C++
            compiler (on a GPU, Triton and a C compiler), and the first steps take some 10 s longer. Rounding differs
            from that of the default; on a CPU a run that is killed and resumed ends with the same bits.
    """

    checkpoints: Annotated[int, Field(ge=1, le=MOST_CHECKPOINTS)] = 12
    matmul_precision: MatmulPrecision = "highest"
    compiled: bool = False

    @property
    def checkpoint_steps(self) -> list[int]:
        """Steps of the checkpoints, ascending; the last is `steps`."""
        return square_root_schedule(self.steps, self.checkpoints)


def square_root_schedule(last: int, count: int, first: int = 20) -> list[int]:
    """Steps evenly spaced in their square root from `first` to `last`, at most `count` distinct ones.

    Raises:
        ValueError: when `last` is no integer in 1 .. 2^53, `count` none in 1 .. 2^20, or `first` none >= 0.

    Example:
        >>> square_root_schedule(2000, 4)
        [20, 320, 980, 2000]
        >>> square_root_schedule(10, 3)
        [10]
    """
    require_integer("last", last, least=1, most=2**53)
    require_integer("count", count, least=1, most=MOST_CHECKPOINTS)
    require_integer("first", first)
    if count == 1 or first >= last:
        return [last]
    low, high = first**0.5, last**0.5
    return sorted({round((low + (high - low) * k / (count - 1)) ** 2) for k in range(count)})
