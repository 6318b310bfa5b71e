"""Studies: each trains, measures and reports one question."""
