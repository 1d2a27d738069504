"""Many specs as one project: settings, cache, checking in several processes, baseline, fixes. Needs no torch, prints nothing."""
