"""Stand-ins: networks at wire level, on loopback ports of this process.

What must stay true: a stand-in refuses what the real network refuses and keeps what it keeps; it counts
what readers would see. Faults happen in front of it, on the wire (`faults`), so that they are the same for
every network. Real time passes here: a stand-in is the other side, and has no part in a simulated clock
except where it is given one.
"""
