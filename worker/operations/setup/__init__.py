"""`revoker init`: from answers to a configuration that is checked, with its secrets, keys and broker users."""

from worker.operations.setup.examination import examine as examine
from worker.operations.setup.plan import SetupPlan as SetupPlan
from worker.operations.setup.plan import plan_setup as plan_setup
from worker.operations.setup.writing import PlannedFile as PlannedFile
from worker.operations.setup.writing import write as write
