/*-------------------------------------------------------------------------
 * check.h
 *		What a unit test program needs: named cases, checks that count, a
 *		summary and an exit status.
 *
 * A test_*.c is one program:
 *
 *		#include "check.h"
 *
 *		int
 *		main(void)
 *		{
 *			CHECK_CASE("empty text has no form");
 *			CHECK(form == NULL);
 *			CHECK_INT(status, PHI_OK);
 *			CHECK_BYTES(out, expected, 32);
 *			return check_done();
 *		}
 *
 * A case ends where the next begins; it prints `ok - name`, or `not ok - name`
 * after a line for each check that failed (the first few of them).  A failed
 * check does not stop the program; CHECK_OR_RETURN leaves the function.
 *-------------------------------------------------------------------------
 */
#ifndef PHI_UNIT_CHECK_H
#define PHI_UNIT_CHECK_H

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define CHECK_SHOWN 5 /* failures shown in words, of one case */

typedef struct check_state
{
	char name[160];    /* of the open case; empty when none is open */
	unsigned failures; /* in the open case */
	unsigned passed;   /* cases */
	unsigned failed;
	unsigned skipped;
} check_state;

static check_state check_now;

/* Count a failed check of the open case and say where it was. */
static inline void __attribute__((format(printf, 3, 4)))
check_fail(const char *file, int line, const char *format, ...)
{
	va_list arguments;

	if (check_now.failures++ >= CHECK_SHOWN)
		return;
	printf("# %s:%d: ", file, line);
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	printf("\n");
}

/* Close the open case: print its line and count it. */
static inline void
check_close(void)
{
	if (check_now.name[0] == '\0')
	{
		/* A check that failed outside any case must not be lost. */
		if (check_now.failures > 0)
			check_now.failed++;
	}
	else if (check_now.failures > 0)
	{
		printf("not ok - %s (%u checks failed)\n", check_now.name, check_now.failures);
		check_now.failed++;
	}
	else
	{
		printf("ok - %s\n", check_now.name);
		check_now.passed++;
	}
	check_now.name[0] = '\0';
	check_now.failures = 0;
	fflush(stdout);
}

/* Close the open case and open the next; the name is a printf format. */
static inline void __attribute__((format(printf, 1, 2))) check_case(const char *format, ...)
{
	va_list arguments;

	check_close();
	va_start(arguments, format);
	vsnprintf(check_now.name, sizeof(check_now.name), format, arguments);
	va_end(arguments);
}

/* Say that something was not tested, and why. */
static inline void __attribute__((format(printf, 1, 2))) check_skip(const char *format, ...)
{
	va_list arguments;

	check_close();
	printf("skip - ");
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	printf("\n");
	check_now.skipped++;
}

/* Print the summary; the exit status of main. */
static inline int
check_done(void)
{
	check_close();
	printf("%u passed, %u failed", check_now.passed, check_now.failed);
	if (check_now.skipped > 0)
		printf(", %u skipped", check_now.skipped);
	printf("\n");
	return check_now.failed > 0 || check_now.passed + check_now.skipped == 0;
}

static inline bool
check_true(bool holds, const char *text, const char *file, int line)
{
	if (!holds)
		check_fail(file, line, "does not hold: %s", text);
	return holds;
}

static inline bool
check_int(intmax_t got, intmax_t expected, const char *text, const char *file, int line)
{
	if (got != expected)
		check_fail(file, line, "%s is %" PRIdMAX ", expected %" PRIdMAX, text, got, expected);
	return got == expected;
}

static inline bool
check_bytes(const void *got, const void *expected, size_t size, const char *text, const char *file,
			int line)
{
	size_t i;

	if (size == 0 || memcmp(got, expected, size) == 0)
		return true;
	for (i = 0; ((const uint8_t *) got)[i] == ((const uint8_t *) expected)[i];)
		i++;
	check_fail(file, line, "%s differs at byte %zu of %zu: %02x, expected %02x", text, i, size,
			   ((const uint8_t *) got)[i], ((const uint8_t *) expected)[i]);
	return false;
}

static inline bool
check_text(const char *got, const char *expected, const char *text, const char *file, int line)
{
	if (got != NULL && expected != NULL && strcmp(got, expected) == 0)
		return true;
	if (got == NULL && expected == NULL)
		return true;
	check_fail(file, line, "%s is \"%s\", expected \"%s\"", text, got ? got : "(null)",
			   expected ? expected : "(null)");
	return false;
}

#define CHECK_CASE(...) check_case(__VA_ARGS__)

/* Each is an expression: true where the check held. */
#define CHECK(cond) check_true((cond), #cond, __FILE__, __LINE__)
#define CHECK_INT(got, expected) \
	check_int((intmax_t) (got), (intmax_t) (expected), #got, __FILE__, __LINE__)
#define CHECK_BYTES(got, expected, size) \
	check_bytes((got), (expected), (size), #got, __FILE__, __LINE__)
#define CHECK_TEXT(got, expected) check_text((got), (expected), #got, __FILE__, __LINE__)

/* For what later checks of a function rest on. */
#define CHECK_OR_RETURN(cond) \
	do                        \
	{                         \
		if (!CHECK(cond))     \
			return;           \
	} while (0)

#endif /* PHI_UNIT_CHECK_H */
