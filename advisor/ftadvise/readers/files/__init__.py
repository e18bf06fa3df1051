"""Opening: plain and compressed files, standard input, databases, lines of text."""
