"""Searching for the best run of a recipe: trials that are chosen by Optuna, each of them an ordinary run in a process of its own.

Not here: what a `sweep` item says (`nnspec.recipes.sweeps`), and training (`nnspec.training`).
"""
