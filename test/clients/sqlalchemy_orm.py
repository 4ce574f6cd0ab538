"""SQLAlchemy over psycopg2, which writes parameters into the statement: one class is mapped to the table for writing,
another to the view for reading."""

import datetime
import decimal
import warnings

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import BYTEA, JSONB, insert
from sqlalchemy.orm import Session, declarative_base

from harness import ok, refused, run, same

Base = declarative_base()
BORN = datetime.date(1985, 12, 10)
SEEN = datetime.datetime(2024, 3, 1, 10, 30, tzinfo=datetime.timezone.utc)


class Columns:
    id = sa.Column(sa.BigInteger, primary_key=True)
    client = sa.Column(sa.Text)
    mrn = sa.Column(sa.Text)
    name = sa.Column(sa.Text)
    ssn = sa.Column(sa.String(11))
    born = sa.Column(sa.Date)
    seen = sa.Column(sa.DateTime(timezone=True))
    weight = sa.Column(sa.Numeric)
    data = sa.Column(JSONB)
    photo = sa.Column(BYTEA)


class Stored(Columns, Base):
    __tablename__ = "patient"


class Patient(Columns, Base):
    __tablename__ = "patient_redacted"


def row(key, name, **more):
    return dict(dict(id=key, client="sqlalchemy", name=name, ssn="987-65-%d" % key, born=BORN, seen=SEEN,
                     weight=decimal.Decimal("61.25"), data={"a": [1]}, photo=b"\x00\xff"), **more)


def orm(engine):
    with Session(engine) as session:
        session.add(Stored(**row(2001, "Ada Kanary ü '%\\")))
        session.commit()
        one = session.get(Patient, 2001)
        same((one.name, one.ssn, one.born, one.seen, one.weight, one.data, bytes(one.photo)),
             ("Ada Kanary ü '%\\", "987-65-2001", BORN, SEEN, decimal.Decimal("61.25"), {"a": [1]}, b"\x00\xff"),
             "sqlalchemy: an object goes in by the table and comes out by the view")
        generated = Stored(client="sqlalchemy", name="Generated Kanary")
        session.add(generated)
        session.flush()
        same(session.get(Patient, generated.id).name, "Generated Kanary", "sqlalchemy: a generated key")
        session.rollback()
        session.add_all([Stored(**row(2100 + i, "Many Kanary %d" % i, weight=i, data=[i])) for i in range(40)])
        session.commit()
        same(session.query(Patient).filter(Patient.id >= 2100, Patient.data == sa.cast([7], JSONB)).one().name, "Many Kanary 7",
             "sqlalchemy: many objects in one flush")
        same([p.id for p in session.query(Patient).filter(Patient.ssn == "987-65-2107")], [2107], "sqlalchemy: search by equality")
        same([p.id for p in session.query(Patient).filter(Patient.ssn.in_(["987-65-2107", "987-65-2108"])).order_by(Patient.id)],
             [2107, 2108], "sqlalchemy: search in a list")
        same(session.query(Patient).filter(Patient.client == "sqlalchemy", Patient.born == BORN).count(), 41, "sqlalchemy: search by a date")
        session.execute(sa.update(Stored).where(Stored.id == 2001).values(name="Changed Kanary", weight=70.5, born=None)
                        .execution_options(synchronize_session=False))
        session.commit()
        one = session.get(Patient, 2001, populate_existing=True)
        same((one.name, one.weight, one.born, one.ssn), ("Changed Kanary", decimal.Decimal("70.5"), None, "987-65-2001"), "sqlalchemy: update")
        session.bulk_update_mappings(Stored, [dict(id=2100 + i, name="Bulk Kanary %d" % i) for i in range(40)])
        session.commit()
        same(session.query(Patient).filter(Patient.client == "sqlalchemy", Patient.name.like("Bulk Kanary %")).count(), 40, "sqlalchemy: bulk update")
        same(session.query(Stored.name).filter(Stored.id == 2001).scalar()[:6], "phi:1:", "sqlalchemy: the table itself has sealed values")
        session.execute(sa.delete(Stored).where(Stored.id == 2139))
        session.commit()
        same(session.query(Patient).filter(Patient.id == 2139).count(), 0, "sqlalchemy: delete")


def core(engine):
    with engine.begin() as conn:
        for name in "First Kanary", "Second Kanary":
            new = insert(Stored).values(**row(2003, name))
            conn.execute(new.on_conflict_do_update(index_elements=["id"], set_=dict(name=new.excluded.name, ssn=new.excluded.ssn)))
            same(conn.execute(sa.select(Patient.name).where(Patient.id == 2003)).scalar(), name, "sqlalchemy: upsert, " + name.split()[0])
        for i in range(12):
            conn.execute(sa.insert(Stored), row(2200 + i, "Again %d" % i))
        same([conn.execute(sa.select(Patient.name).where(Patient.ssn == "987-65-%d" % (2200 + i))).scalar() for i in range(12)],
             ["Again %d" % i for i in range(12)], "sqlalchemy: the same statement, twelve times")


def reflection(engine):
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        view = sa.Table("patient_redacted", sa.MetaData(), autoload_with=engine)
        same([type(view.c[c].type).__name__ for c in ("name", "born", "seen", "weight", "data", "photo")],
             ["TEXT", "DATE", "TIMESTAMP", "NUMERIC", "JSONB", "BYTEA"], "sqlalchemy: reflection of the view gives the plain types")
        ok(not said, "sqlalchemy: without a warning", [str(w.message) for w in said])
        table = sa.Table("patient", sa.MetaData(), autoload_with=engine)
        same(list(table.primary_key.columns.keys()), ["id"], "sqlalchemy: and of the table its key")


def errors(engine):
    def execute(statement, **parameters):
        def action():
            with engine.begin() as conn:
                conn.execute(statement, parameters)
        return action

    refused(execute(sa.text("UPDATE patient SET born = :v WHERE id = 2001"), v="Kanary-date"), "sqlalchemy: a bad date is not shown", "22P02")
    refused(execute(sa.text("UPDATE patient SET data = :v WHERE id = 2001"), v='{"Kanary": '), "sqlalchemy: nor bad JSON", "22P02")
    refused(execute(sa.insert(Stored), **row(2001, "Kanary twice")), "sqlalchemy: nor a value in a duplicate row", "23505")
    refused(execute(sa.insert(Stored), **row(2999, "Kanary without", client=None)), "sqlalchemy: nor one in a row that fails a constraint", "23502")
    refused(execute(sa.select(Stored.born)), "sqlalchemy: a column without privilege cannot be read", "42501")


def main():
    # Without hide_parameters SQLAlchemy itself puts the parameters into the text of its errors.
    engine = sa.create_engine("postgresql+psycopg2://", hide_parameters=True)
    with engine.connect() as conn:
        same(tuple(conn.execute(sa.text("SELECT actor, purpose FROM phi.whoami()")).one()), ("Dr. Client", "TREAT"), "sqlalchemy: the identity")
    orm(engine)
    core(engine)
    reflection(engine)
    errors(engine)


run("sqlalchemy", main)
