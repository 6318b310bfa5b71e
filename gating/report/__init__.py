"""From the result table to plots and one page; nothing here needs a model or torch."""

from gating.report.page import STUDIES, short_table, write_report

__all__ = ["STUDIES", "short_table", "write_report"]
