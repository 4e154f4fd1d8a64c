"""Results as tables in Markdown, pictures, and one page: `quorate bench report`."""
