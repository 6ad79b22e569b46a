"""Engines: what finds translations behind a `Translator`.  Each module is imported only where its engine runs."""
