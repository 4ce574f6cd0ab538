/*-------------------------------------------------------------------------
 * normal.h
 *		The normal form of an identifier: what equality searches compare.
 *
 * Two texts that people take for the same identifier have the same normal
 * form; equal texts always have.
 *-------------------------------------------------------------------------
 */
#ifndef PHI_CORE_NORMAL_H
#define PHI_CORE_NORMAL_H

#include "forms.h"

/*
 * May columns of this kind be searched by tag?  Only identifiers with many
 * values: tags of few or skewed values (sex, ZIP, name, diagnosis) are undone
 * by counting (Naveed et al., CCS 2015).
 */
extern bool phi_kind_searchable(phi_kind kind);

/* Write the normal form; out->capacity at least in.size. */
extern phi_status phi_normal_form(phi_kind kind, phi_bytes in, phi_buffer *out) PHI_CHECKED;

#endif /* PHI_CORE_NORMAL_H */
