"""The explorer: theory over any two settings in a browser, with measured runs beside it."""
