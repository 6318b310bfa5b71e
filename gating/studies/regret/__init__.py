"""The bi-level update played online: two predictors, five gate learners, and what each regret bound allows them."""
