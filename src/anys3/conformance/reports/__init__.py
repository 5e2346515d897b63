"""What a report looks like to people and machines: console, HTML, JUnit, Markdown, a badge, and read back."""
