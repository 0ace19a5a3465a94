"""`revoker dead-letter` (short `dlq`), also mounted as `celery -A worker dead-letter`."""

from worker.cli.tree import Commands

dead_letter = Commands(
    "dead-letter",
    help="What was given up: causes, list, show, replay, edit, discard; replays as jobs; export, import.",
    parts={
        "causes": ("worker.cli.dead_letters.causes:causes", "What they died of, and what mends it"),
        "list": ("worker.cli.dead_letters.show:list_", "List dead letters, newest first"),
        "show": ("worker.cli.dead_letters.show:show", "One dead letter with its attempts, or one cause"),
        "replay": ("worker.cli.dead_letters.changes:replay", "Give dead letters another try"),
        "jobs": ("worker.cli.dead_letters.jobs:jobs", "Replays and discards as jobs: list, show, pause, resume, stop"),
        "edit": ("worker.cli.dead_letters.files:edit", "Publish a corrected event in place of one that died"),
        "discard": ("worker.cli.dead_letters.changes:discard", "Give dead letters up for good; a tombstone stays"),
        "export": (
            "worker.cli.dead_letters.files:export",
            "Print dead letters whole, still sealed, a JSON object a line",
        ),
        "import": ("worker.cli.dead_letters.files:import_", "Put the dead letters of an export on the desk"),
    },
)
