"""Many runs with one question: a grid of timings and faults, a search for a timing, two runs compared. Rank 10.

pairs: several labs at once, which share the trials of a run. grid: what a sweep is to measure. sweep: its cells, one
after another, and going on after an interruption. page: its report. compare: whether one run is slower than another.
tune: the largest deadtime that keeps an outage short enough. load: what a lab has to bear while that is tried.
"""
