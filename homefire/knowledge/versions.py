"""How files are read and cut: the number that tells what was read by an older version, and is read again.

Promises: a change of a reader, of how text is cut, or of what is left out raises it.
Does not cover: the form of volumes and indexes, which carry their own.
"""

READER_VERSION = 2
