"""Other programs' files, translated into Seqloom's configuration; nothing else knows that those programs exist."""
