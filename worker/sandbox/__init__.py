"""The sandbox: all providers on one loopback port, telling the truth about every token, and failing on request.

It stands for the providers in the newcomer's first run, in the tests and in the benchmarks. Its journal says what a
provider really saw, so it is the judge of what the worker says about itself. Its credentials are worthless by design.
"""

from worker.sandbox.app import make_app as make_app
from worker.sandbox.app import sandbox_providers as sandbox_providers
from worker.sandbox.app import serve as serve
from worker.sandbox.config import SandboxConfig as SandboxConfig
from worker.sandbox.faults import Fault as Fault
