/*-------------------------------------------------------------------------
 * fhir_values.c
 *		Times and references of FHIR, and what they are in compiled programs.
 *
 * A FHIR time says how exact it is: 2022-06 is a whole month.  Times without a
 * zone are UTC.
 *-------------------------------------------------------------------------
 */
#include "consent/fhir.h"

#include "datatype/timestamp.h"
#include "keyring/keyring.h"
#include "utils/datetime.h"

/* Read count digits; moves *at. */
static bool
ReadDigits(const char **at, int count, int *value)
{
	*value = 0;
	for (int i = 0; i < count; i++, (*at)++)
	{
		if (**at < '0' || **at > '9')
			return false;
		*value = *value * 10 + (**at - '0');
	}
	return true;
}

/* Read a separator and two digits, if the separator is there. */
static bool
ReadPart(const char **at, char separator, int *value, bool *present)
{
	*present = **at == separator;
	if (!*present)
		return true;
	(*at)++;
	return ReadDigits(at, 2, value);
}

/* Microseconds since 1970 of the start of a day. */
static int64
DayStart(int year, int month, int day)
{
	return (int64) (date2j(year, month, day) - UNIX_EPOCH_JDATE) * USECS_PER_DAY;
}

/* Year, month and day, as far as they are given. */
static bool
ReadDate(const char **at, int64 *from, int64 *until, bool *whole)
{
	int year;
	int month = 1;
	int day = 1;
	bool has_month;
	bool has_day = false;

	if (!ReadDigits(at, 4, &year) || year < 1 || !ReadPart(at, '-', &month, &has_month) ||
		(has_month && !ReadPart(at, '-', &day, &has_day)))
		return false;
	if (month < 1 || month > 12 || day < 1 || day > day_tab[isleap(year)][month - 1])
		return false;
	*from = DayStart(year, month, day);
	if (has_day)
		*until = *from + USECS_PER_DAY;
	else if (!has_month)
		*until = DayStart(year + 1, 1, 1);
	else
		*until = month == 12 ? DayStart(year + 1, 1, 1) : DayStart(year, month + 1, 1);
	*whole = has_day;
	return true;
}

/* Digits of a second behind the point: its value and its last digit's, in microseconds. */
static bool
ReadFraction(const char **at, int64 *value, int64 *unit)
{
	const char *start;

	*value = 0;
	*unit = USECS_PER_SEC;
	if (**at != '.')
		return true;
	start = ++(*at);
	for (; **at >= '0' && **at <= '9'; (*at)++)
	{
		if (*unit == 1)
			continue;
		*unit /= 10;
		*value += (**at - '0') * *unit;
	}
	return *at > start;
}

/* Z or an offset, in microseconds. */
static bool
ReadZone(const char **at, int64 *offset)
{
	int sign = **at == '-' ? -1 : 1;
	int hours;
	int minutes;
	bool present;

	*offset = 0;
	if (**at == 'Z')
	{
		(*at)++;
		return true;
	}
	if (**at != '+' && **at != '-')
		return false;
	(*at)++;
	if (!ReadDigits(at, 2, &hours) || !ReadPart(at, ':', &minutes, &present) || !present ||
		hours > 14 || minutes > 59)
		return false;
	*offset = sign * (hours * USECS_PER_HOUR + minutes * USECS_PER_MINUTE);
	return true;
}

/* The time behind the date, which must then be whole. */
static bool
ReadTime(const char **at, int64 *from, int64 *until)
{
	int hour;
	int minute;
	int second;
	int64 fraction;
	int64 unit;
	int64 offset;
	bool present;

	if (!ReadDigits(at, 2, &hour) || !ReadPart(at, ':', &minute, &present) || !present ||
		!ReadPart(at, ':', &second, &present) || !present || hour > 23 || minute > 59 ||
		second > 59 || !ReadFraction(at, &fraction, &unit) || !ReadZone(at, &offset))
		return false;
	*from += hour * USECS_PER_HOUR + minute * USECS_PER_MINUTE + second * USECS_PER_SEC + fraction -
			 offset;
	*until = *from + unit;
	return true;
}

bool
FhirTimeRead(const char *text, int64 *from, int64 *until)
{
	const char *at = text;
	bool whole;

	if (!ReadDate(&at, from, until, &whole))
		return false;
	if (*at == 'T')
	{
		at++;
		if (!whole || !ReadTime(&at, from, until))
			return false;
	}
	return *at == '\0';
}

/* The text of an instant to the microsecond; NULL outside the years 1 to 9999. */
static char *
FhirTimeText(int64 time)
{
	int64 days = time / USECS_PER_DAY - (time % USECS_PER_DAY < 0);
	int64 rest = time - days * USECS_PER_DAY;
	int year;
	int month;
	int day;

	if (time < DayStart(1, 1, 1) || time >= DayStart(10000, 1, 1))
		return NULL;
	j2date((int) days + UNIX_EPOCH_JDATE, &year, &month, &day);
	return psprintf("%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", year, month, day,
					(int) (rest / USECS_PER_HOUR), (int) (rest / USECS_PER_MINUTE % 60),
					(int) (rest / USECS_PER_SEC % 60), (int) (rest % USECS_PER_SEC));
}

char *
FhirSpanText(int64 from, int64 until, int shortest)
{
	static const int lengths[] = {4, 7, 10, 19, 21, 22, 23, 24, 25, 26};
	char *whole = FhirTimeText(from != PHI_TIME_MIN ? from : until - 1);

	for (int i = 0; whole && i < lengthof(lengths); i++)
	{
		char *text = psprintf("%.*s%s", lengths[i], whole, lengths[i] > 10 ? "Z" : "");
		int64 starts;
		int64 ends;

		if (lengths[i] >= shortest && FhirTimeRead(text, &starts, &ends) &&
			(from == PHI_TIME_MIN || starts == from) && (until == PHI_TIME_MAX || ends == until))
			return text;
	}
	return NULL;
}

bool
FhirIsId(const char *text)
{
	size_t size = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-.");

	return size >= 1 && size <= 64 && text[size] == '\0';
}

bool
FhirReferenceType(const char *reference, const char **type, int *size)
{
	const char *slash = strrchr(reference, '/');
	const char *start = slash;

	if (!slash || !FhirIsId(slash + 1))
		return false;
	while (start > reference &&
		   ((start[-1] >= 'A' && start[-1] <= 'Z') || (start[-1] >= 'a' && start[-1] <= 'z')))
		start--;
	*type = start;
	*size = slash - start;
	if (*size == 0 || *start < 'A' || *start > 'Z')
		return false;
	/* A version is no type, and what stands before the type is nothing or a server. */
	return start == reference || (start[-1] == '/' && (strncmp(reference, "https://", 8) == 0 ||
													   strncmp(reference, "http://", 7) == 0));
}

/* Is the type at hand, of size bytes, this one? */
static bool
TypeIs(const char *type, int size, const char *name)
{
	return strlen(name) == size && memcmp(type, name, size) == 0;
}

bool
FhirActorOfReference(const char *reference, FhirActor *actor)
{
	static const struct
	{
		const char *type;
		const char *prefix;
	} types[] = {{"Practitioner", "actor"},
				 {"PractitionerRole", "actor"},
				 {"Patient", "actor"},
				 {"RelatedPerson", "actor"},
				 {"Person", "actor"},
				 {"Device", "actor"},
				 {"Group", "group"},
				 {"CareTeam", "group"},
				 {"Organization", "organization"}};
	const char *type;
	int size;

	if (!FhirReferenceType(reference, &type, &size))
		return false;
	for (int i = 0; i < lengthof(types); i++)
		if (TypeIs(type, size, types[i].type))
		{
			actor->prefix = types[i].prefix;
			actor->name = pstrdup(reference);
			return true;
		}
	return false;
}

char *
FhirReferenceOfActor(const FhirActor *actor)
{
	FhirActor again;
	const char *bare = strcmp(actor->prefix, "actor") == 0          ? "Practitioner"
					   : strcmp(actor->prefix, "group") == 0        ? "Group"
					   : strcmp(actor->prefix, "organization") == 0 ? "Organization"
																	: NULL;

	if (bare && FhirIsId(actor->name))
		return psprintf("%s/%s", bare, actor->name);
	if (FhirActorOfReference(actor->name, &again) && strcmp(again.prefix, actor->prefix) == 0)
		return actor->name;
	return NULL;
}

uint64
FhirTypeReference(const char *reference)
{
	const char *type;
	int size;

	if (!FhirReferenceType(reference, &type, &size))
		return 0;
	return ActorReference("class", pnstrdup(type, size));
}

uint64
FhirCodingReference(const char *prefix, const FhirCoding *coding)
{
	return ActorReference(prefix, psprintf("%s|%s", coding->system, coding->code));
}
