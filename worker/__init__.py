"""How revocations run: settings, broker, intake, Celery worker, recorder, ledger, command line."""
