"""``epsignal verify``: what a real PBX does where the documentation of the protocol leaves it open.

The checks stand in tables in :mod:`.attaching`, :mod:`.calling` and :mod:`.received`; they are given a :class:`Bench`, say
what they saw, and know nothing of terminals or reports.
"""
