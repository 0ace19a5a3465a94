"""What all tables belong to, for the migrations."""

from typing import Final

from sqlalchemy import MetaData

metadata: Final = MetaData()
