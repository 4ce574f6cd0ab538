/*-------------------------------------------------------------------------
 * forms.h
 *		Kinds of identifiers and the forms they are shown in (DESIGN 9;
 *		45 CFR 164.514(b)(2) Safe Harbor).
 *
 * Every form is total: any input, valid or not, gives a value of the same
 * type or nothing (*is_null).  Texts are UTF-8; malformed bytes are taken one
 * by one.  Nothing here allocates; out needs the capacity each function names.
 *-------------------------------------------------------------------------
 */
#ifndef PHI_CORE_FORMS_H
#define PHI_CORE_FORMS_H

#include "bytes.h"

typedef enum phi_kind /* rows are only ever added at the end */
{
	PHI_KIND_NAME, PHI_KIND_ADDRESS, PHI_KIND_CITY, PHI_KIND_COUNTY, PHI_KIND_STATE, PHI_KIND_ZIP,
	PHI_KIND_GEO, PHI_KIND_BIRTH_DATE, PHI_KIND_DEATH_DATE, PHI_KIND_SERVICE_DATE, PHI_KIND_AGE,
	PHI_KIND_PHONE, PHI_KIND_FAX, PHI_KIND_EMAIL, PHI_KIND_SSN, PHI_KIND_MRN,
	PHI_KIND_HEALTH_PLAN, PHI_KIND_ACCOUNT, PHI_KIND_LICENSE, PHI_KIND_VEHICLE, PHI_KIND_DEVICE,
	PHI_KIND_URL, PHI_KIND_IP, PHI_KIND_BIOMETRIC, PHI_KIND_PHOTO, PHI_KIND_UNIQUE_ID,
	PHI_KIND_FREE_TEXT, PHI_KIND_DIAGNOSIS, PHI_KIND_LAB, PHI_KIND_OTHER, PHI_KIND_NONE,
	PHI_KIND_COUNT
} phi_kind;

typedef enum phi_form /* in ascending order of detail: the larger shows more */
{
	PHI_FORM_NONE = 0,
	PHI_FORM_PSEUDONYM,	  /* the subject's, which is looked up: no function below shows anything */
	PHI_FORM_SAFE_HARBOR,
	PHI_FORM_LIMITED,	  /* a limited data set's, 164.514(e)(2) */
	PHI_FORM_PARTIAL,
	PHI_FORM_FULL,
	/* Of single columns of a recipient's view alone, in no order with the others. */
	PHI_FORM_TOKEN,	   /* depends on a key: no function below shows anything */
	PHI_FORM_SHIFTED,  /* likewise */
	PHI_FORM_AGE_BAND, /* an age, or a year of birth, to five years */
	PHI_FORM_CATEGORY, /* the category of a code */
	PHI_FORM_COUNT
} phi_form;

typedef enum phi_shape /* what becomes of a value */
{
	PHI_SHAPE_NOTHING = 0,
	PHI_SHAPE_ALL,
	PHI_SHAPE_CLINICAL,	   /* all of it, but of a date what a service date shows */
	PHI_SHAPE_MASK,		   /* *** */
	PHI_SHAPE_INITIALS,	   /* J*** D*** */
	PHI_SHAPE_EMAIL,	   /* j***@example.org */
	PHI_SHAPE_PHONE,	   /* ***-***-1234 */
	PHI_SHAPE_SSN,		   /* ***-**-6789 */
	PHI_SHAPE_TAIL,		   /* ***4711 */
	PHI_SHAPE_ZIP3,		   /* 021 */
	PHI_SHAPE_ZIP3_MASKED, /* 021** */
	PHI_SHAPE_AGE,		   /* capped at 90 */
	PHI_SHAPE_YEAR,		   /* January 1 of the year, nothing when it shows an age over 89 */
	PHI_SHAPE_MONTH,	   /* the first day of the month; of a text, its year and month */
	PHI_SHAPE_TOKEN,	   /* another identifier of the same format */
	PHI_SHAPE_SHIFTED,	   /* another date */
	PHI_SHAPE_AGE_BAND,	   /* the lowest age of five, 90 for all from 90 on */
	PHI_SHAPE_FIVE_YEARS,  /* January 1 of a year that five divides, likewise */
	PHI_SHAPE_CATEGORY	   /* J45 of J45.901 */
} phi_shape;

extern const char *phi_kind_name(phi_kind kind); /* "birth_date" */
extern bool phi_kind_find(const char *name, size_t size, phi_kind *kind);
extern const char *phi_form_name(phi_form form); /* "safe_harbor" */
extern bool phi_form_find(const char *name, size_t size, phi_form *form);
/* True where a rule, and a view as a whole, may use the form. */
extern bool phi_form_available(phi_form form);

/*
 * What is shown of a kind to somebody who may see it in one form, where it is
 * offered in another one: never more than either.  Of two forms of rules that is
 * the lesser, but a value that both partial and limited show is partial.  The
 * forms of columns ask for a form that tells as much:
 *
 *	age_band, category	safe_harbor, limited, partial or full
 *	token				limited, partial or full: it is derived from the value, which Safe Harbor rules out
 *						(164.514(b)(2)(i)(R), (c)) and a limited data set does not (164.514(e)(2))
 *	shifted				one that shows all of a date, for it keeps the days between dates
 *
 * PHI_FORM_NONE where nothing is, and for a form that a kind does not have.
 */
extern phi_form phi_form_meet(phi_kind kind, phi_form permitted, phi_form offered);

/*
 * The category of an ICD-10 code, its first three characters in capitals: a
 * letter, a digit, a letter or digit, of which up to four more follow, with or
 * without a dot.  False for anything else.
 */
extern bool phi_form_category(phi_bytes in, char category[3]);

/*
 * What a kind becomes in a form, whatever its type: the table that every
 * function below follows.  A type to which a shape does not apply is hidden.
 * The kind none, declared not to be PHI, is shown in every form.
 */
extern phi_shape phi_form_shape(phi_kind kind, phi_form form);

/*
 * True where Safe Harbor lets the three digits of a ZIP code be shown (45 CFR
 * 164.514(b)(2)(i)(B)): the area exists and had over 20,000 people in the
 * census of 2000 and in that of 2020.
 */
extern bool phi_zip3_shows(unsigned prefix);

/*
 * Text of a kind in a form.  out->capacity: 4 * in.size + 16 bytes suffices;
 * PHI_ERR_SPACE, nothing in out and *is_null when it is too small.  A mask
 * has the same length whatever it hides; an empty text is empty in the form
 * partial.
 */
extern phi_status phi_form_text(phi_kind kind, phi_form form, phi_bytes in, phi_buffer *out,
								bool *is_null) PHI_CHECKED;

/*
 * Dates count days, times microseconds, since 2000-01-01 (UTC), in the
 * proleptic Gregorian calendar; INT32_MIN/MAX and INT64_MIN/MAX are the
 * infinities, which only the form full shows.  today is the current date.  A
 * year that would show an age over 89 is nothing (birth, death and service
 * dates alike when the event is more than 89 years ago): in its 90th year after
 * the event a person may be 90.  The year alone tells no more than that.
 *
 * Dates of clinical kinds are treated as service dates, for Safe Harbor names
 * every element of a date but the year.  A time is cut in UTC: for a type that
 * is shown in a time zone, pass the local time.
 */
extern void phi_form_date(phi_kind kind, phi_form form, int32_t date, int32_t today, int32_t *out,
						  bool *is_null);
extern void phi_form_time(phi_kind kind, phi_form form, int64_t time, int32_t today, int64_t *out,
						  bool *is_null);

/* Whole numbers: ages are capped at 90, ZIP codes keep their prefix, identifiers vanish. */
extern void phi_form_integer(phi_kind kind, phi_form form, int64_t value, int64_t *out,
							 bool *is_null);

/* What is neither text nor date nor whole number: only full and clinical kinds show it. */
extern bool phi_form_opaque_shows(phi_kind kind, phi_form form);

#endif /* PHI_CORE_FORMS_H */
