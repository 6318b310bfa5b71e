"""Bibliography keys that docstrings cite."""

__all__ = ["CHAN2025", "WURGAFT2025"]

CHAN2025 = (
    "B. Chan, X. Chen, A. György, D. Schuurmans. Toward Understanding In-context vs. In-weight Learning."
    " ICLR 2025, arXiv:2410.23042."
)
WURGAFT2025 = (
    "D. Wurgaft, E. S. Lubana, C. F. Park, H. Tanaka, G. Reddy, N. D. Goodman. In-Context Learning Strategies"
    " Emerge Rationally. NeurIPS 2025, arXiv:2506.17859."
)
