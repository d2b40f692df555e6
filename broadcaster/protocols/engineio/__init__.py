"""Engine.IO, revisions 3 and 4, without I/O: a session, and its packets in the encodings of either revision."""
