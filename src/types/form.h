/*-------------------------------------------------------------------------
 * form.h
 *		A plain value in a form.
 *-------------------------------------------------------------------------
 */
#ifndef PHI_FORM_H
#define PHI_FORM_H

#include "platform/platform.h"

#include "core/forms.h"
#include "types/inner.h"

/* Opened bytes in a form; *isnull where it shows nothing. */
extern Datum ShowForm(InnerType inner, phi_kind kind, phi_form form, uint8 *bytes, Size size,
					  bool *isnull);

/* The same for a plain value of an inner type. */
extern Datum ShowPlain(InnerType inner, phi_kind kind, phi_form form, Datum plain, bool *isnull);

/* Has a value of the type one of the shapes of columns: token, shifted, age_band and so on? */
extern bool HasColumnShape(InnerType inner, phi_shape shape);

#endif /* PHI_FORM_H */
