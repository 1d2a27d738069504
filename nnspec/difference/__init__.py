"""What changed between two specs: layers, settings, wiring, sizes, conditions, recipes, costs, and which weights still load.

Values come out; how they are written lives in `text`, `markdown` and `document`. Specs are compared as graphs, so layout, comments,
the form (`.nn` or YAML) and the order of independent lines make no difference. No torch, here or in what is imported.
"""
