"""State that processes share, and that outlasts them: on SQLite, Redis or Valkey."""
