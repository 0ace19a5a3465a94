"""The process that follows directories: it reads what changed there, and has it become events."""
