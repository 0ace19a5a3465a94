"""Dead letters as people handle them: which may be replayed, and how a replay goes.

They are put by `worker.messages.dead_letter`, kept, found and discarded by `worker.ledger`.
"""

from worker.dead_letters.guards import Refusal, ReplayPlan, plan_replay
from worker.dead_letters.planning import PAGE, PlanFigures, figures
from worker.dead_letters.replaying import INTERRUPTED, Pace, Replayer, ReplayResult
from worker.dead_letters.republishing import replay_message
from worker.dead_letters.superseding import supersedes, superseding
from worker.dead_letters.unproved import unproved
from worker.dead_letters.vouching import only_vouched

__all__ = [
    "INTERRUPTED",
    "PAGE",
    "Pace",
    "PlanFigures",
    "Refusal",
    "ReplayPlan",
    "ReplayResult",
    "Replayer",
    "figures",
    "only_vouched",
    "plan_replay",
    "replay_message",
    "supersedes",
    "superseding",
    "unproved",
]
