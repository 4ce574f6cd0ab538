"""psycopg 3: server-side parameters; str is sent without a type, other values with theirs; statements are
prepared by the driver at the sixth execution."""

import datetime
import decimal

import psycopg
from psycopg.types.json import Json, Jsonb

from harness import ok, refused, run, same

BORN = datetime.date(1985, 12, 10)
SEEN = datetime.datetime(2024, 3, 1, 10, 30, 0, 250000, tzinfo=datetime.timezone.utc)
INSERT = """INSERT INTO patient (id, client, mrn, name, ssn, born, seen, weight, data, photo)
    VALUES (%s, 'psycopg', %s, %s, %s, %s, %s, %s, %s, %s)"""
SELECT = "SELECT name, ssn, born, seen, weight, data, photo FROM patient_redacted WHERE id = %s"


def values(conn):
    row = ("psycopg-1", "Ada Kanary ü", "987-65-1001", BORN, SEEN, decimal.Decimal("61.25"), Jsonb({"a": [1, "Kanary"]}),
           b"\x00\xff Kanary")
    conn.execute(INSERT, (1001,) + row)
    expected = row[1:6] + ({"a": [1, "Kanary"]},) + row[7:]
    same(conn.execute(SELECT, (1001,)).fetchone(), expected, "psycopg: every type goes in and comes out")
    for binary in True, False:
        with conn.cursor(binary=binary) as cur:
            same(cur.execute(SELECT, (1001,)).fetchone(), expected, "psycopg: results in %s" % ("binary" if binary else "text"))
    conn.execute(INSERT, (1002,) + (None,) * 8)
    same(conn.execute(SELECT, (1002,)).fetchone(), (None,) * 7, "psycopg: NULL")


def types(conn):
    """Each way that Python writes a number, a date or JSON."""
    for value, shown in ((7, 7), (70000, 70000), (2 ** 40, 2 ** 40), (61.5, decimal.Decimal("61.5")),
                         (decimal.Decimal("-0.000001"), decimal.Decimal("-0.000001")), ("12.5", decimal.Decimal("12.5"))):
        conn.execute("UPDATE patient SET weight = %s WHERE id = 1001", (value,))
        same(conn.execute("SELECT weight FROM patient_redacted WHERE id = 1001").fetchone()[0], shown,
             "psycopg: number from %s %s" % (type(value).__name__, value))
    for value in BORN, "1985-12-10", datetime.datetime(1985, 12, 10, 8, 0):
        conn.execute("UPDATE patient SET born = %s WHERE id = 1001", (value,))
        same(conn.execute("SELECT born FROM patient_redacted WHERE id = 1001").fetchone()[0], BORN,
             "psycopg: date from %s" % type(value).__name__)
    for value in SEEN, SEEN.isoformat(), SEEN.astimezone(datetime.timezone(datetime.timedelta(hours=5))):
        conn.execute("UPDATE patient SET seen = %s WHERE id = 1001", (value,))
        same(conn.execute("SELECT seen FROM patient_redacted WHERE id = 1001").fetchone()[0], SEEN,
             "psycopg: time from %s" % type(value).__name__)
    for value in Jsonb({"b": None}), Json({"b": None}), '{"b": null}':
        conn.execute("UPDATE patient SET data = %s WHERE id = 1001", (value,))
        same(conn.execute("SELECT data FROM patient_redacted WHERE id = 1001").fetchone()[0], {"b": None},
             "psycopg: jsonb from %s" % type(value).__name__)
    for format_ in "%s", "%t", "%b":
        conn.execute("UPDATE patient SET name = %s WHERE id = 1001" % format_, ("Format " + format_,))
        same(conn.execute("SELECT name FROM patient_redacted WHERE id = 1001").fetchone()[0], "Format " + format_,
             "psycopg: text by " + format_)


def work(conn):
    same(conn.execute("SELECT id FROM patient_redacted WHERE ssn = %s", ("987-65-1001",)).fetchall(), [(1001,)],
         "psycopg: search by equality")
    same(conn.execute("SELECT id FROM patient_redacted WHERE ssn = ANY(%s)", (["987-65-1001", "none"],)).fetchall(), [(1001,)],
         "psycopg: search in a list")
    same(conn.execute("SELECT id FROM patient_redacted WHERE born = %s AND client = 'psycopg'", (BORN,)).fetchall(), [(1001,)],
         "psycopg: search by a date")
    upsert = """INSERT INTO patient (id, client, name, ssn) VALUES (%s, 'psycopg', %s, %s)
        ON CONFLICT (id) DO UPDATE SET name = excluded.name, ssn = excluded.ssn"""
    for name in "First Kanary", "Second Kanary":
        conn.execute(upsert, (1003, name, "987-65-1003"))
        same(conn.execute(SELECT, (1003,)).fetchone()[:2], (name, "987-65-1003"), "psycopg: upsert, " + name.split()[0])
    new = conn.execute("INSERT INTO patient (client, name) VALUES ('psycopg', %s) RETURNING id", ("Generated Kanary",)).fetchone()[0]
    same(conn.execute(SELECT, (new,)).fetchone()[0], "Generated Kanary", "psycopg: a generated key, RETURNING")
    with conn.cursor() as cur:
        cur.executemany("INSERT INTO patient (id, client, name, weight) VALUES (%s, 'psycopg', %s, %s)",
                        [(1100 + i, "Many Kanary %d" % i, i) for i in range(50)])
    same(conn.execute("SELECT count(*) FROM patient_redacted WHERE name = 'Many Kanary ' || (id - 1100) AND weight = id - 1100").fetchone()[0],
         50, "psycopg: executemany")
    with conn.pipeline():
        for i in range(20):
            conn.execute("UPDATE patient SET name = %s WHERE id = %s", ("Piped %d" % i, 1100 + i))
    same(conn.execute("SELECT count(*) FROM patient_redacted WHERE name = 'Piped ' || (id - 1100)").fetchone()[0], 20,
         "psycopg: a pipeline")
    try:
        with conn.transaction():
            conn.execute("UPDATE patient SET name = %s WHERE id = 1001", ("Undone",))
            raise psycopg.Rollback
    finally:
        ok(conn.execute(SELECT, (1001,)).fetchone()[0] != "Undone", "psycopg: a rolled back transaction")


def prepared(conn):
    """Generic plans: the driver prepares, the server plans once."""
    conn.execute("SET plan_cache_mode = force_generic_plan")
    for i in range(12):
        conn.execute(INSERT, (1200 + i, None, "Prepared %d" % i, "987-65-%d" % (1200 + i), BORN + datetime.timedelta(days=i), SEEN,
                              decimal.Decimal(i), Jsonb(i), bytes([i])), prepare=True)
    rows = [conn.execute(SELECT, (1200 + i,), prepare=True).fetchone() for i in range(12)]
    same(rows, [("Prepared %d" % i, "987-65-%d" % (1200 + i), BORN + datetime.timedelta(days=i), SEEN, decimal.Decimal(i), i, bytes([i]))
                for i in range(12)], "psycopg: prepared statements, twelve times")
    found = [conn.execute("SELECT id FROM patient_redacted WHERE ssn = %s", ("987-65-%d" % (1200 + i),), prepare=True).fetchall()
             for i in range(12)]
    same(found, [[(1200 + i,)] for i in range(12)], "psycopg: a prepared search, twelve times")
    same(conn.execute("SELECT generic_plans > 0 FROM pg_prepared_statements WHERE statement LIKE '%%ssn = %%'").fetchone(), (True,),
         "psycopg: by a generic plan")
    conn.execute("RESET plan_cache_mode")


def errors(conn):
    same(conn.execute("SELECT name FROM patient WHERE id = 1001").fetchone()[0][:6], "phi:1:", "psycopg: the table itself has sealed values")
    with conn.cursor(binary=True) as cur:
        same(cur.execute("SELECT name FROM patient WHERE id = 1001").fetchone()[0][:6], b"phi:1:", "psycopg: in binary too")
    refused(lambda: conn.execute("UPDATE patient SET born = %s WHERE id = 1001", ("Kanary-date",)), "psycopg: a bad date is not shown", "22P02")
    refused(lambda: conn.execute("UPDATE patient SET weight = %s WHERE id = 1001", ("Kanary-number",)), "psycopg: nor a bad number", "22P02")
    refused(lambda: conn.execute("UPDATE patient SET data = %s WHERE id = 1001", ('{"Kanary": ',)), "psycopg: nor bad JSON", "22P02")
    refused(lambda: conn.execute("INSERT INTO patient (id, client, name) VALUES (1001, 'psycopg', %s)", ("Kanary twice",)),
            "psycopg: nor a value in a duplicate row", "23505")
    refused(lambda: conn.execute("INSERT INTO patient (id, client, name) VALUES (1999, NULL, %s)", ("Kanary without",)),
            "psycopg: nor one in a row that fails a constraint", "23502")
    refused(lambda: conn.execute("SELECT born FROM patient"), "psycopg: a column without privilege cannot be read", "42501")
    refused(lambda: conn.execute("UPDATE patient SET name = %s WHERE id = 1001", ("phi:1:EQAAAAIAAgAA",)),
            "psycopg: a sealed value cannot be brought in", "42501")

    def load():
        with conn.cursor().copy("COPY patient (id, client, name) FROM STDIN") as copy:
            copy.write_row((1998, "psycopg", "Kanary by COPY"))
    refused(load, "psycopg: COPY FROM is refused under row security", "0A000")


def main():
    with psycopg.connect(autocommit=True) as conn:
        same(conn.execute("SELECT actor, purpose FROM phi.whoami()").fetchone(), ("Dr. Client", "TREAT"), "psycopg: the identity")
        values(conn)
        types(conn)
        work(conn)
        prepared(conn)
        errors(conn)
    with psycopg.connect(user="stranger") as conn:
        same(conn.execute("SELECT count(*) FROM patient_redacted").fetchone()[0], 0, "psycopg: a stranger sees no row")


run("psycopg", main)
