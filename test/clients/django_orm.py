"""Django over psycopg2: an unmanaged model on the table for writing, one on the view for reading."""

import datetime
import decimal
import os

import django
from django.conf import settings

from harness import refused, run, same

settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", "NAME": os.environ["PGDATABASE"], "USER": os.environ["PGUSER"],
                           "HOST": os.environ["PGHOST"], "PORT": os.environ["PGPORT"]}},
    INSTALLED_APPS=[], USE_TZ=True, DEBUG=False)
django.setup()

from django.db import models, transaction  # noqa: E402: after the settings

BORN = datetime.date(1985, 12, 10)
SEEN = datetime.datetime(2024, 3, 1, 10, 30, tzinfo=datetime.timezone.utc)


class Columns(models.Model):
    id = models.BigAutoField(primary_key=True)
    client = models.TextField(default="django")
    mrn = models.TextField(null=True)
    name = models.TextField(null=True)
    ssn = models.CharField(max_length=11, null=True)
    born = models.DateField(null=True)
    seen = models.DateTimeField(null=True)
    weight = models.DecimalField(max_digits=9, decimal_places=3, null=True)
    data = models.JSONField(null=True)
    photo = models.BinaryField(null=True)

    class Meta:
        abstract = True


class Stored(Columns):
    class Meta:
        app_label = "clients"
        managed = False
        db_table = "patient"


class Patient(Columns):
    class Meta:
        app_label = "clients"
        managed = False
        db_table = "patient_redacted"


def objects():
    Stored.objects.create(id=3001, name="Ada Kanary ü", ssn="987-65-3001", born=BORN, seen=SEEN, weight=decimal.Decimal("61.25"),
                          data={"a": [1]}, photo=b"\x00\xff")
    one = Patient.objects.get(pk=3001)
    same((one.name, one.ssn, one.born, one.seen, one.weight, one.data, bytes(one.photo)),
         ("Ada Kanary ü", "987-65-3001", BORN, SEEN, decimal.Decimal("61.25"), {"a": [1]}, b"\x00\xff"),
         "django: an object goes in by the table and comes out by the view")
    new = Stored.objects.create(name="Generated Kanary")
    same(Patient.objects.get(pk=new.pk).name, "Generated Kanary", "django: a generated key")
    Stored.objects.bulk_create([Stored(id=3100 + i, name="Many Kanary %d" % i, ssn="987-65-%d" % (3100 + i), weight=i) for i in range(40)])
    same(Patient.objects.filter(client="django", name__startswith="Many Kanary ").count(), 40, "django: bulk_create")
    same([p.pk for p in Patient.objects.filter(ssn="987-65-3107")], [3107], "django: search by equality")
    same(sorted(p.pk for p in Patient.objects.filter(ssn__in=["987-65-3107", "987-65-3108"])), [3107, 3108], "django: search in a list")
    same(Patient.objects.get(client="django", born=BORN).pk, 3001, "django: search by a date")
    Stored(id=3001, name="Saved Kanary", ssn="987-65-3001").save(force_update=True, update_fields=["name", "ssn"])
    one.refresh_from_db()
    same((one.name, one.born), ("Saved Kanary", BORN), "django: save of some fields")
    Stored(id=3002, name="Saved anew").save()
    Stored(id=3002, name="Saved again").save()
    same(Patient.objects.get(pk=3002).name, "Saved again", "django: save, twice")
    Stored.objects.filter(pk=3002).update(name="Updated Kanary", weight=70, seen=None)
    same(Patient.objects.get(pk=3002).name, "Updated Kanary", "django: update")
    Stored.objects.bulk_update([Stored(id=3100 + i, name="Bulk Kanary %d" % i, born=BORN, weight=i) for i in range(40)], ["name", "born", "weight"])
    same(Patient.objects.filter(client="django", name__startswith="Bulk Kanary ", born=BORN).count(), 40, "django: bulk_update")
    Stored.objects.bulk_create([Stored(id=3002, name="ignored"), Stored(id=3003, name="Not ignored")], ignore_conflicts=True)
    same([Patient.objects.get(pk=k).name for k in (3002, 3003)], ["Updated Kanary", "Not ignored"], "django: bulk_create that ignores conflicts")
    with transaction.atomic():
        Stored.objects.filter(pk=3003).update(name="Undone")
        transaction.set_rollback(True)
    same(Patient.objects.get(pk=3003).name, "Not ignored", "django: a rolled back transaction")
    Stored.objects.filter(pk=3139).delete()
    same(Patient.objects.filter(pk=3139).exists(), False, "django: delete")


def errors():
    same(Stored.objects.values_list("name", flat=True).get(pk=3001)[:6], "phi:1:", "django: the table itself has sealed values")
    refused(lambda: Stored.objects.create(id=3001, name="Kanary twice"), "django: a value in a duplicate row is not shown", "23505")
    refused(lambda: Stored.objects.filter(pk=3001).update(client=None, name="Kanary without"),
            "django: nor one in a row that fails a constraint", "23502")
    refused(lambda: Stored.objects.filter(pk=3001).values_list("born").get(), "django: a column without privilege cannot be read", "42501")


def main():
    objects()
    errors()


run("django", main)
