/*-------------------------------------------------------------------------
 * tokens.c
 *		Tokens of subjects, rows and actors, under subkeys of the root key.
 *
 * A token stands for a key value where the value itself should not: in the
 * header of a sealed value, in consents and in the audit log.  The subkeys are
 * derived at first use and forgotten with the root key, as the keys of recipients
 * are.
 *-------------------------------------------------------------------------
 */
#include "keyring/keyring.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

typedef struct Subkeys
{
	bool ready;
	uint8 subject_token[PHI_SIPHASH_KEY];
	uint8 row_token[PHI_SIPHASH_KEY];
	uint8 reference[PHI_SIPHASH_KEY];
} Subkeys;

static Subkeys RootSubkeys;

#define RECIPIENT_KEYS 2
#define RECIPIENT_INFO 192 /* bytes; the keys of longer names are not kept */

/* The keys of recipients that were asked for last: the rows of a view take the same ones. */
static struct
{
	char info[RECIPIENT_INFO]; /* what it was derived for; empty: none */
	uint8 key[PHI_KEY_SIZE];
} RecipientKeys[RECIPIENT_KEYS];

/* Which of them is replaced next. */
static int NextRecipientKey = 0;

/* Derive one subkey of the root key. */
static phi_status
DeriveSubkey(const uint8 *root, const char *info, uint8 out[PHI_SIPHASH_KEY])
{
	return phi_hkdf_sha256(phi_bytes_of(root, PHI_KEY_SIZE), phi_bytes_of(NULL, 0),
						   phi_bytes_of(info, strlen(info)), out, PHI_SIPHASH_KEY);
}

/* The subkeys of the root key, made at first use. */
static const Subkeys *
GetSubkeys(void)
{
	uint8 root[PHI_KEY_SIZE];
	phi_status status;

	if (likely(RootSubkeys.ready && !KeyringIsStale()))
		return &RootSubkeys;
	/* Reading the key table again forgets the subkeys when the root key is gone. */
	KeyringRootKey(root);
	if (RootSubkeys.ready)
	{
		SecretWipe(root, sizeof(root));
		return &RootSubkeys;
	}
	SecretProtect(&RootSubkeys, sizeof(RootSubkeys));
	status = DeriveSubkey(root, "phi_guard subject token 1", RootSubkeys.subject_token);
	if (status == PHI_OK)
		status = DeriveSubkey(root, "phi_guard row token 1", RootSubkeys.row_token);
	if (status == PHI_OK)
		status = DeriveSubkey(root, "phi_guard reference 1", RootSubkeys.reference);
	SecretWipe(root, sizeof(root));
	CheckStatus(status, "derive the token keys");
	RootSubkeys.ready = true;
	return &RootSubkeys;
}

void
TokensForget(void)
{
	SecretWipe(&RootSubkeys, sizeof(RootSubkeys));
	RootSubkeys.ready = false;
	SecretWipe(RecipientKeys, sizeof(RecipientKeys));
}

/* 0 means "no row" in an envelope, so a token is never 0. */
static uint64
Token(const uint8 key[PHI_SIPHASH_KEY], const void *data, Size size)
{
	uint64 token = phi_siphash24(key, phi_bytes_of(data, size));

	return token == 0 ? 1 : token;
}

uint64
SubjectTokenOfText(const char *canonical, Size size)
{
	return Token(GetSubkeys()->subject_token, canonical, size);
}

uint64
SubjectToken(Datum subject, Oid type)
{
	StringInfoData key;
	uint64 token;

	if (type == INT8OID || type == INT4OID)
	{
		char digits[24];
		int64 value = type == INT8OID ? DatumGetInt64(subject) : DatumGetInt32(subject);

		return SubjectTokenOfText(digits, (Size) pg_lltoa(value, digits));
	}
	initStringInfo(&key);
	KeyTextAppend(&key, subject, type);
	token = SubjectTokenOfText(key.data, (Size) key.len);
	pfree(key.data);
	return token;
}

uint64
RowToken(const uint8 column_uuid[PHI_UUID_SIZE], const char *key_texts, Size size)
{
	uint8 buffer[256];
	uint8 *data = size <= sizeof(buffer) - PHI_UUID_SIZE ? buffer : palloc(size + PHI_UUID_SIZE);
	uint64 token;

	memcpy(data, column_uuid, PHI_UUID_SIZE);
	memcpy(data + PHI_UUID_SIZE, key_texts, size);
	token = Token(GetSubkeys()->row_token, data, size + PHI_UUID_SIZE);
	if (data != buffer)
		pfree(data);
	return token;
}

/* A practitioner, organization or group may be named as a FHIR reference, or by its id alone. */
static const char *
BareName(const char *prefix, const char *name)
{
	static const char *const types[][2] = {
		{"actor", "Practitioner/"}, {"organization", "Organization/"}, {"group", "Group/"}};

	for (int i = 0; i < lengthof(types); i++)
	{
		size_t size = strlen(types[i][1]);

		if (strcmp(prefix, types[i][0]) == 0 && strncmp(name, types[i][1], size) == 0 &&
			name[size] != '\0')
			return name + size;
	}
	return name;
}

uint64
ActorReference(const char *prefix, const char *name)
{
	char *reference = psprintf("%s:%s", prefix, BareName(prefix, name));
	uint64 token = Token(GetSubkeys()->reference, reference, strlen(reference));

	pfree(reference);
	return token;
}

/* Keep the key that was derived for this. */
static void
KeepRecipientKey(const char *info, const uint8 key[PHI_KEY_SIZE])
{
	if (strlen(info) >= RECIPIENT_INFO)
		return;
	SecretProtect(RecipientKeys, sizeof(RecipientKeys));
	strlcpy(RecipientKeys[NextRecipientKey].info, info, RECIPIENT_INFO);
	memcpy(RecipientKeys[NextRecipientKey].key, key, PHI_KEY_SIZE);
	NextRecipientKey = (NextRecipientKey + 1) % RECIPIENT_KEYS;
}

void
RecipientKey(const char *use, const char *recipient, uint8 key[PHI_KEY_SIZE])
{
	char *info = psprintf("phi_guard recipient 1:%s:%s", use, recipient);
	uint8 root[PHI_KEY_SIZE];
	phi_status status;

	for (int i = 0; i < RECIPIENT_KEYS && !KeyringIsStale(); i++)
		if (strcmp(RecipientKeys[i].info, info) == 0)
		{
			memcpy(key, RecipientKeys[i].key, PHI_KEY_SIZE);
			pfree(info);
			return;
		}
	/* Reading the key table again forgets the keys when the root key is gone. */
	KeyringRootKey(root);
	status = phi_hkdf_sha256(phi_bytes_of(root, PHI_KEY_SIZE), phi_bytes_of(NULL, 0),
							 phi_bytes_of(info, strlen(info)), key, PHI_KEY_SIZE);
	SecretWipe(root, sizeof(root));
	CheckStatus(status, "derive the key of a recipient");
	KeepRecipientKey(info, key);
	pfree(info);
}
