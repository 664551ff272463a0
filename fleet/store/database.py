"""Opening the database, and its transactions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, OperationalError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from contracts.errors import RuntimeMissingError, WrittenError
from fleet.inventory.reading import clean
from fleet.store.errors import DatabaseError, RejectedError
from fleet.store.migrations import STEPS, migrate, version_of

_BUSY_SECONDS = 30.0  # another program of ours writes: it takes milliseconds, a backup longer
_CONNECT_SECONDS = 10
_NOTE_SECONDS = 1.0  # what only notes something waits so long, and is left out then
_WRITES = "edgetally_writes"
_PATIENCE = "edgetally_patience"


class Database:
    """A database whose schema is of this version.

    Args:
        address: ``postgresql://USER@HOST/NAME``, ``sqlite:///FILE`` or a file.
        make: whether a file that is not there is made.

    Raises:
        WrittenError: the address is none.
        RuntimeMissingError: the extra for PostgreSQL is not installed.
        DatabaseError: it cannot be reached, or is not there.
        RejectedError: it is of a newer version.
    """

    def __init__(self, address: str, *, make: bool = True) -> None:
        url = _url(address)
        self.where = url.render_as_string(hide_password=True)
        if not make and url.get_backend_name() == "sqlite" and not Path(url.database or "").is_file():
            raise DatabaseError(self.where, "there is no such file", "`edgetally-fleet serve` makes it; see --database")
        self._engine = _engine(url, self.where)
        with self.reading() as connection:
            current = version_of(connection) == len(STEPS)
        if not current:  # whoever only looks waits for nobody who writes
            with self.writing() as connection:
                migrate(connection, self.where)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees one state of the database.

        Raises:
            DatabaseError: it cannot be reached.
        """
        with self._told(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self, patience: float = _BUSY_SECONDS) -> Iterator[Connection]:
        """A transaction that is on the disk once the block has ended, and never was where the block raises.

        Args:
            patience: seconds to wait for another program that writes an SQLite file.

        Raises:
            DatabaseError: it cannot be reached or written.
            RejectedError: it does not take these values.
        """
        options = {_WRITES: True, _PATIENCE: patience}
        with self._told(), self._engine.connect().execution_options(**options) as connection, connection.begin():
            yield connection

    def noting(self) -> AbstractContextManager[Connection]:
        """`writing` for what may as well be left out, such as when something was used last: it waits for nobody long.

        Raises:
            DatabaseError: as `writing`, and where another program writes for longer than a moment.
        """
        return self.writing(_NOTE_SECONDS)

    def close(self) -> None:
        """Let go of its connections."""
        self._engine.dispose()

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            said = clean(str(error.orig).strip())
            if isinstance(error, OperationalError) or error.connection_invalidated:
                raise DatabaseError(self.where, said, "check its address, its server and its disk") from error
            raise RejectedError(self.where, said, "this is a fault of edgetally-fleet; please report it") from error
        except SQLAlchemyError as error:  # no connection came free, say
            raise DatabaseError(self.where, clean(str(error)), "check its server") from error


def _url(address: str) -> URL:
    if "://" not in address:
        return URL.create("sqlite", database=address)
    try:
        url = make_url(address)
    except (ArgumentError, ValueError) as error:
        expected = "expected postgresql://USER@HOST/NAME, sqlite:///FILE or a file"
        raise WrittenError(f"the database's address cannot be read; {expected}") from error
    if url.get_backend_name() not in {"sqlite", "postgresql"}:
        raise WrittenError(f"no databases of kind {url.get_backend_name()!r}; expected sqlite or postgresql")
    return url.set(drivername="postgresql+psycopg") if url.drivername == "postgresql" else url


def _engine(url: URL, where: str) -> Engine:
    try:
        if url.get_backend_name() == "sqlite":
            engine = create_engine(url, connect_args={"timeout": _BUSY_SECONDS})
            event.listen(engine, "connect", _set_up_sqlite)
            event.listen(engine, "begin", _begin_sqlite)
            return engine
        return create_engine(url, pool_pre_ping=True, connect_args={"connect_timeout": _CONNECT_SECONDS})
    except ModuleNotFoundError as error:
        raise RuntimeMissingError(f"database {where}", error.name or "psycopg", "fleet-postgresql") from error
    except NoSuchModuleError as error:
        raise WrittenError(f"database {where}: no such driver; leave out what stands behind the '+'") from error


def _set_up_sqlite(connection: object, _: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # type: ignore[attr-defined] # else Python begins transactions of its own, too late
    cursor = connection.cursor()  # type: ignore[attr-defined]
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")  # a message is acknowledged once it is on the disk
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # Whoever reads first and writes then is refused where another wrote meanwhile; so the lock is taken at once.
    options = connection.get_execution_options()
    connection.exec_driver_sql(f"PRAGMA busy_timeout = {round(1000 * options.get(_PATIENCE, _BUSY_SECONDS))}")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get(_WRITES, False) else "BEGIN")
