"""The live view of a lab: what goes on in it at this moment, and faults that are pressed. Rank 10.2.

steps: a trial's events as lines for people, while it happens. view: what was seen so far, pure; the terminal and the
page show the same. watcher: looks at a lab that is up, and runs the trials that are asked for. web: the page's server.
"""
