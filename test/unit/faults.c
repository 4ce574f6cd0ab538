/*-------------------------------------------------------------------------
 * faults.c
 *		The libcrypto functions that core calls, each of which can be made to
 *		fail, and an allocator for libcrypto that can.
 *-------------------------------------------------------------------------
 */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "faults.h"

#include <stdint.h>
#include <stdlib.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/sha.h>

#define SYMBOL_NAME(name) #name,

fault_plan fault;
unsigned long faults[SYM_COUNT];
long handles;
volatile bool inside_libcrypto;
const char *const symbol_names[SYM_COUNT] = {SYMBOLS(SYMBOL_NAME)};
const char *const mode_names[FAULT_MODES] = {"refuses", "gives -1", "fails late", "is short"};

/* Does this call of a function fail? */
static bool
fails(symbol name)
{
	if (fault.at == 0 || fault.name != name)
		return false;
	fault.calls++;
	if (fault.calls != fault.at && !(fault.lasting && fault.calls > fault.at))
		return false;
	fault.fired = true;
	faults[name]++;
	return true;
}

/* ---- the calls ---- */

/* Into libcrypto and back. */
#define REAL(name, result, arguments)     \
	do                                    \
	{                                     \
		inside_libcrypto = true;          \
		result = __real_##name arguments; \
		inside_libcrypto = false;         \
	} while (0)

/* A function that gives 1 for success. */
#define WRAP_INT(name, parameters, arguments)         \
	extern int __real_##name parameters;              \
	extern int __wrap_##name parameters;              \
	int __wrap_##name parameters                      \
	{                                                 \
		bool failing = fails(SYM_##name);             \
		int result = 0;                               \
                                                      \
		if (!failing || fault.mode != FAULT_REFUSE)   \
			REAL(name, result, arguments);            \
		if (!failing)                                 \
			return result;                            \
		return fault.mode == FAULT_NEGATIVE ? -1 : 0; \
	}

/* One that says how much it has written, too. */
#define WRAP_UPDATE(name)                                                                     \
	extern int __real_##name(EVP_CIPHER_CTX *, uint8_t *, int *, const uint8_t *, int);       \
	extern int __wrap_##name(EVP_CIPHER_CTX *, uint8_t *, int *, const uint8_t *, int);       \
	int __wrap_##name(EVP_CIPHER_CTX *context, uint8_t *out, int *written, const uint8_t *in, \
					  int size)                                                               \
	{                                                                                         \
		bool failing = fails(SYM_##name);                                                     \
		int result = 0;                                                                       \
                                                                                              \
		if (!failing || fault.mode != FAULT_REFUSE)                                           \
			REAL(name, result, (context, out, written, in, size));                            \
		if (!failing)                                                                         \
			return result;                                                                    \
		*written -= fault.mode == FAULT_SHORT;                                                \
		return fault.mode == FAULT_SHORT ? 1 : fault.mode == FAULT_NEGATIVE ? -1 : 0;         \
	}

/* One that gives a handle, and the one that takes it back. */
#define WRAP_NEW(type, name, parameters, arguments) \
	extern type *__real_##name parameters;          \
	extern type *__wrap_##name parameters;          \
	type *__wrap_##name parameters                  \
	{                                               \
		type *made = NULL;                          \
                                                    \
		if (!fails(SYM_##name))                     \
			REAL(name, made, arguments);            \
		handles += made != NULL;                    \
		return made;                                \
	}

#define WRAP_FREE(type, name)          \
	extern void __real_##name(type *); \
	extern void __wrap_##name(type *); \
	void __wrap_##name(type *handle)   \
	{                                  \
		handles -= handle != NULL;     \
		__real_##name(handle);         \
	}

WRAP_NEW(EVP_CIPHER, EVP_CIPHER_fetch,
		 (OSSL_LIB_CTX * library, const char *algorithm, const char *properties),
		 (library, algorithm, properties))
WRAP_FREE(EVP_CIPHER, EVP_CIPHER_free)
WRAP_NEW(EVP_CIPHER_CTX, EVP_CIPHER_CTX_new, (void), ())
WRAP_FREE(EVP_CIPHER_CTX, EVP_CIPHER_CTX_free)
WRAP_INT(EVP_CIPHER_CTX_set_padding, (EVP_CIPHER_CTX * context, int pad), (context, pad))
WRAP_INT(EVP_CIPHER_CTX_get_params, (EVP_CIPHER_CTX * context, OSSL_PARAM *params),
		 (context, params))
WRAP_INT(EVP_EncryptInit_ex2,
		 (EVP_CIPHER_CTX * context, const EVP_CIPHER *cipher, const uint8_t *key, const uint8_t *iv,
		  const OSSL_PARAM *params),
		 (context, cipher, key, iv, params))
WRAP_INT(EVP_CipherInit_ex2,
		 (EVP_CIPHER_CTX * context, const EVP_CIPHER *cipher, const uint8_t *key, const uint8_t *iv,
		  int encrypt, const OSSL_PARAM *params),
		 (context, cipher, key, iv, encrypt, params))
WRAP_UPDATE(EVP_EncryptUpdate)
WRAP_UPDATE(EVP_CipherUpdate)
WRAP_INT(EVP_EncryptFinal_ex, (EVP_CIPHER_CTX * context, uint8_t *out, int *written),
		 (context, out, written))
WRAP_INT(SHA256_Init, (SHA256_CTX * context), (context))
WRAP_INT(SHA256_Update, (SHA256_CTX * context, const void *data, size_t size),
		 (context, data, size))
WRAP_INT(SHA256_Final, (uint8_t * out, SHA256_CTX *context), (out, context))

WRAP_NEW(EVP_PKEY, EVP_PKEY_new_raw_private_key_ex,
		 (OSSL_LIB_CTX * library, const char *kind, const char *properties, const uint8_t *key,
		  size_t size),
		 (library, kind, properties, key, size))
WRAP_INT(EVP_PKEY_get_raw_public_key, (const EVP_PKEY *key, uint8_t *out, size_t *size),
		 (key, out, size))
WRAP_INT(EVP_DigestSignInit_ex,
		 (EVP_MD_CTX * context, EVP_PKEY_CTX **made, const char *digest, OSSL_LIB_CTX *library,
		  const char *properties, EVP_PKEY *key, const OSSL_PARAM *params),
		 (context, made, digest, library, properties, key, params))
WRAP_INT(EVP_DigestSign,
		 (EVP_MD_CTX * context, uint8_t *out, size_t *out_size, const uint8_t *in, size_t size),
		 (context, out, out_size, in, size))

extern int __real_EVP_DecryptFinal_ex(EVP_CIPHER_CTX *context, uint8_t *out, int *written);
extern int __wrap_EVP_DecryptFinal_ex(EVP_CIPHER_CTX *context, uint8_t *out, int *written);

/* To refuse is a right answer of this one: only where it accepts it is made to fail. */
int
__wrap_EVP_DecryptFinal_ex(EVP_CIPHER_CTX *context, uint8_t *out, int *written)
{
	int result;

	REAL(EVP_DecryptFinal_ex, result, (context, out, written));
	if (result != 1)
		return result;
	if (!fails(SYM_EVP_DecryptFinal_ex))
		return 1;
	return fault.mode == FAULT_NEGATIVE ? -1 : 0;
}

WRAP_NEW(EVP_PKEY_CTX, EVP_PKEY_CTX_new_from_name,
		 (OSSL_LIB_CTX * library, const char *name, const char *properties),
		 (library, name, properties))
WRAP_FREE(EVP_PKEY_CTX, EVP_PKEY_CTX_free)
WRAP_NEW(EVP_PKEY, EVP_PKEY_new_raw_public_key_ex,
		 (OSSL_LIB_CTX * library, const char *name, const char *properties, const uint8_t *key,
		  size_t size),
		 (library, name, properties, key, size))
WRAP_FREE(EVP_PKEY, EVP_PKEY_free)
WRAP_NEW(EVP_MD_CTX, EVP_MD_CTX_new, (void), ())
WRAP_FREE(EVP_MD_CTX, EVP_MD_CTX_free)
WRAP_INT(EVP_PKEY_fromdata_init, (EVP_PKEY_CTX * context), (context))
WRAP_INT(EVP_DigestVerifyInit_ex,
		 (EVP_MD_CTX * context, EVP_PKEY_CTX **inner, const char *digest, OSSL_LIB_CTX *library,
		  const char *properties, EVP_PKEY *key, const OSSL_PARAM *params),
		 (context, inner, digest, library, properties, key, params))

extern int __real_EVP_PKEY_fromdata(EVP_PKEY_CTX *context, EVP_PKEY **key, int selection,
									OSSL_PARAM *params);
extern int __wrap_EVP_PKEY_fromdata(EVP_PKEY_CTX *context, EVP_PKEY **key, int selection,
									OSSL_PARAM *params);

/* The key it gives is the caller's, also where it says that it failed. */
int
__wrap_EVP_PKEY_fromdata(EVP_PKEY_CTX *context, EVP_PKEY **key, int selection, OSSL_PARAM *params)
{
	bool failing = fails(SYM_EVP_PKEY_fromdata);
	int result = 0;

	if (!failing || fault.mode != FAULT_REFUSE)
		REAL(EVP_PKEY_fromdata, result, (context, key, selection, params));
	handles += *key != NULL;
	if (!failing)
		return result;
	return fault.mode == FAULT_NEGATIVE ? -1 : 0;
}

extern int __real_EVP_DigestVerify(EVP_MD_CTX *context, const uint8_t *signature,
								   size_t signature_size, const uint8_t *data, size_t size);
extern int __wrap_EVP_DigestVerify(EVP_MD_CTX *context, const uint8_t *signature,
								   size_t signature_size, const uint8_t *data, size_t size);

/* To refuse is a right answer of this one, too. */
int
__wrap_EVP_DigestVerify(EVP_MD_CTX *context, const uint8_t *signature, size_t signature_size,
						const uint8_t *data, size_t size)
{
	int result;

	REAL(EVP_DigestVerify, result, (context, signature, signature_size, data, size));
	if (result != 1)
		return result;
	if (!fails(SYM_EVP_DigestVerify))
		return 1;
	return fault.mode == FAULT_NEGATIVE ? -1 : 0;
}

extern uint8_t *__real_EVP_Q_mac(OSSL_LIB_CTX *library, const char *name, const char *properties,
								 const char *subalgorithm, const OSSL_PARAM *params,
								 const void *key, size_t key_size, const uint8_t *data, size_t size,
								 uint8_t *out, size_t capacity, size_t *written);
extern uint8_t *__wrap_EVP_Q_mac(OSSL_LIB_CTX *library, const char *name, const char *properties,
								 const char *subalgorithm, const OSSL_PARAM *params,
								 const void *key, size_t key_size, const uint8_t *data, size_t size,
								 uint8_t *out, size_t capacity, size_t *written);

/* One that gives where it wrote to. */
uint8_t *
__wrap_EVP_Q_mac(OSSL_LIB_CTX *library, const char *name, const char *properties,
				 const char *subalgorithm, const OSSL_PARAM *params, const void *key,
				 size_t key_size, const uint8_t *data, size_t size, uint8_t *out, size_t capacity,
				 size_t *written)
{
	uint8_t *result;

	if (fails(SYM_EVP_Q_mac))
		return NULL;
	REAL(EVP_Q_mac, result,
		 (library, name, properties, subalgorithm, params, key, key_size, data, size, out, capacity,
		  written));
	return result;
}

unsigned
fault_modes(symbol name)
{
	if (name == SYM_EVP_CIPHER_fetch || name == SYM_EVP_CIPHER_CTX_new || name == SYM_allocation ||
		name == SYM_EVP_PKEY_CTX_new_from_name || name == SYM_EVP_PKEY_new_raw_public_key_ex ||
		name == SYM_EVP_MD_CTX_new || name == SYM_EVP_Q_mac ||
		name == SYM_EVP_PKEY_new_raw_private_key_ex)
		return FAULT_NEGATIVE;
	return name == SYM_EVP_EncryptUpdate || name == SYM_EVP_CipherUpdate ? FAULT_MODES
																		 : FAULT_SHORT;
}

/* libcrypto's allocator. */
static void *
allocate(size_t size, const char *file, int line)
{
	(void) file;
	(void) line;
	return fails(SYM_allocation) ? NULL : malloc(size);
}

static void *
reallocate(void *old, size_t size, const char *file, int line)
{
	(void) file;
	(void) line;
	return fails(SYM_allocation) ? NULL : realloc(old, size);
}

static void
release(void *old, const char *file, int line)
{
	(void) file;
	(void) line;
	free(old);
}

bool
faults_in_allocations(void)
{
	return CRYPTO_set_mem_functions(allocate, reallocate, release) == 1;
}
