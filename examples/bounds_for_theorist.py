"""From which N on do weights win?
===============================

From which N on do weights win on rare classes? Exact errors, bounds and crossovers; no torch, no training."""

# sphinx_gallery_thumbnail_path = "theory/in-weight.svg"
from theory import ClassMixture, Comparison, crossover, in_context_risk, in_weight_risk, risk_bounds

compare = Comparison(measure="error", context="relevant")
print("noise   N* exact (bounds)      g at N = 200   h       certified at N = 200")
for noise in (0.0, 0.05, 0.1, 0.2, 0.3):
    spec = ClassMixture(n_high=5, n_low=5, p_high=0.9, label_noise=noise)
    found = crossover(spec, "low", compare)
    g = spec.group_mean(in_weight_risk(spec, 200, "error", "ibd", cover_classes=False), "low")
    h = spec.group_mean(in_context_risk(spec, "error", context="relevant"), "low")
    phase = risk_bounds([spec], 200, compare)["low"].phases.item()
    ends = f"{found.exact:.0f} ({found.earliest:.0f} to {found.latest:.0f})"
    print(f"{noise:<7} {ends:<22} {g:<14.3f} {h:<7.3f} {('weights', 'neither', 'context')[phase + 1]}")
