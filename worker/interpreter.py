"""How a process of ours starts another one."""

import sys
from typing import Final

# -P: without it Python imports from the folder it is started in, whoever may write there.
PYTHON: Final = (sys.executable, "-P", "-m")
