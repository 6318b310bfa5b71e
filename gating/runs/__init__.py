"""The engine of runs: a study declares what it is; folder, lock, identity, resume, report and lists come from here."""
