"""Tables as text: records with their lines, the names of their columns, what an unknown table holds, and a spec drafted for it.

No torch and no numpy: `nnspec new --from data.csv` works without them. What becomes of the records is `nnspec.data`'s matter.
"""
