"""Bibliography keys that docstrings cite."""

__all__ = [
    "BOYD2004",
    "CESABIANCHI2004",
    "CESABIANCHI2006",
    "CHAN2025",
    "COVER1965",
    "COVER1991",
    "COVER1996",
    "DEROOIJ2014",
    "EFRON1993",
    "GRUNWALD2007",
    "JAGGI2013",
    "KRICHEVSKY1981",
    "WURGAFT2025",
    "ZINKEVICH2003",
]

BOYD2004 = "S. Boyd, L. Vandenberghe. Convex Optimization. Cambridge University Press, 2004."
CESABIANCHI2004 = (
    "N. Cesa-Bianchi, A. Conconi, C. Gentile. On the Generalization Ability of On-Line Learning Algorithms. IEEE"
    " Transactions on Information Theory 50(9), 2004."
)
CESABIANCHI2006 = "N. Cesa-Bianchi, G. Lugosi. Prediction, Learning, and Games. Cambridge University Press, 2006."
CHAN2025 = (
    "B. Chan, X. Chen, A. György, D. Schuurmans. Toward Understanding In-context vs. In-weight Learning. ICLR"
    " 2025, arXiv:2410.23042."
)
COVER1965 = (
    "T. M. Cover. Behavior of Sequential Predictors of Binary Sequences. Fourth Prague Conference on Information"
    " Theory, 1965."
)
COVER1991 = "T. M. Cover. Universal Portfolios. Mathematical Finance 1(1), 1991."
COVER1996 = (
    "T. M. Cover, E. Ordentlich. Universal Portfolios with Side Information. IEEE Transactions on Information"
    " Theory 42(2), 1996."
)
DEROOIJ2014 = (
    "S. de Rooij, T. van Erven, P. D. Grünwald, W. M. Koolen. Follow the Leader If You Can, Hedge If You Must."
    " Journal of Machine Learning Research 15, 2014."
)
EFRON1993 = "B. Efron, R. J. Tibshirani. An Introduction to the Bootstrap. Chapman and Hall, 1993."
GRUNWALD2007 = "P. D. Grünwald. The Minimum Description Length Principle. MIT Press, 2007."
JAGGI2013 = "M. Jaggi. Revisiting Frank-Wolfe: Projection-Free Sparse Convex Optimization. ICML 2013."
KRICHEVSKY1981 = (
    "R. E. Krichevsky, V. K. Trofimov. The Performance of Universal Encoding. IEEE Transactions on Information"
    " Theory 27(2), 1981."
)
WURGAFT2025 = (
    "D. Wurgaft, E. S. Lubana, C. F. Park, H. Tanaka, G. Reddy, N. D. Goodman. In-Context Learning Strategies"
    " Emerge Rationally. NeurIPS 2025, arXiv:2506.17859."
)
ZINKEVICH2003 = "M. Zinkevich. Online Convex Programming and Generalized Infinitesimal Gradient Ascent. ICML 2003."
