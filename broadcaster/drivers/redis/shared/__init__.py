"""What the processes on one Redis share: who is where, how many, what was last.

Each process holds its own truth in memory and a part of the shared one under a lease; what it shares is never more than
a copy of its truth, which it makes again whenever it may have been lost (``lease``). Answers that must be in order with
events come the way of events (``inbox``).
"""
