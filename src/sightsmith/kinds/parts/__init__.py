"""Code that several kinds of answer share: intervals, sections of a report, charts."""
