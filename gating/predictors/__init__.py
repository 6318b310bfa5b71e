"""The in-weight predictor g and the in-context predictor h."""
