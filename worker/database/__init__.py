"""The database: opening it, its schema, its migrations. It knows no capability."""
