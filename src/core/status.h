/*-------------------------------------------------------------------------
 * status.h
 *		The one result type of core/.
 *
 * Every core function that can fail returns a phi_status; none of them
 * allocates, prints or jumps.  The words for a status are in status.c, the
 * translation to a PostgreSQL error is in platform/errors.c and nowhere else.
 *-------------------------------------------------------------------------
 */
#ifndef PHI_CORE_STATUS_H
#define PHI_CORE_STATUS_H

#define PHI_CHECKED __attribute__((warn_unused_result))

typedef enum phi_status
{
	PHI_OK = 0,
	PHI_ERR_ARGUMENT, /* a caller broke the function's contract */
	PHI_ERR_SPACE,    /* the caller's buffer is too small */
	PHI_ERR_FORMAT,   /* bytes that are not of the format */
	PHI_ERR_VERSION,  /* a format version this code does not know */
	PHI_ERR_AUTH,     /* does not open: wrong key, wrong place, altered; never told apart */
	PHI_ERR_CRYPTO,   /* libcrypto refused or failed */
	PHI_STATUS_COUNT
} phi_status;

/* A short English phrase for status, lower case, no period; never NULL. */
extern const char *phi_status_text(phi_status status);

#endif /* PHI_CORE_STATUS_H */
