"""What stands around the exercises: beginning, checking, keeping, proving and grading them. Rank 10.5.

work: an exercise on a real pair. desk: a student's progress, on disk. record: what a check found, kept so that it can
be judged again. submission: records in one signed file. grading: a folder of these, judged again and compared.
verify: proves that each exercise can be failed and solved. author: the skeleton of a new one.
"""
