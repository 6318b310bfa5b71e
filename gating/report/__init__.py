"""From the result table to plots and one page; nothing here needs a model or torch."""

from gating.report.page import STUDIES, write_report
from gating.report.tables import short_table

__all__ = ["STUDIES", "short_table", "write_report"]
