"""All tables and sentences of a report, once; page, Markdown, terminal and README render them."""
