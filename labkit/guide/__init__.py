"""The guide that the lab reproduces, put to the test on real pairs. Rank 10.

steps: the guide's 15 steps as data, S1 to S15. shell: what is typed for each of them in a lab. walk: does the steps on
a pair and writes down what was typed and what came out. claims: what the guide claims, C1 to C9, judged from that
alone. check: how far a student got who does the steps by hand.
"""
