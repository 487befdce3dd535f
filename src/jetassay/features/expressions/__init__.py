"""Formulas over the columns of jets, as text: parsed against an allow-list, evaluated without `eval`."""
