"""`revoker doctor`: is everything as it should be? Looks at all that an installation needs, and changes nothing."""

from worker.operations.doctor.deployment import examine_deployment as examine_deployment
from worker.operations.doctor.examination import diagnose as diagnose
from worker.operations.doctor.examination import examine as examine
from worker.operations.doctor.findings import CHECKS as CHECKS
from worker.operations.doctor.findings import Finding as Finding
from worker.operations.doctor.findings import is_healthy as is_healthy
