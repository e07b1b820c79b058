"""What stands around the exercises: starting them, checking, proving and grading them. Rank 10.5.

work: an exercise on a real pair. verify: proves that each can be failed and solved.
"""
