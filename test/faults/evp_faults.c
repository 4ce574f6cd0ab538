/*-------------------------------------------------------------------------
 * evp_faults.c
 *		A library to preload into a server: libcrypto functions that fail when
 *		phi_guard calls them, and only then.
 *
 * The file that PHI_FAULT_FILE names says which: "serial function after how",
 * as in "7 EVP_CipherUpdate 3 fail": the first 3 calls in a process are left
 * alone, from then on all fail.  With "wrong" instead of "fail" they succeed
 * and give an output with an altered byte.  Another serial begins the count
 * anew; without the file nothing fails.  Each call that was made to fail adds a
 * byte to the file with ".hits" appended to its name.
 *-------------------------------------------------------------------------
 */
#define _GNU_SOURCE
#define OPENSSL_SUPPRESS_DEPRECATED

#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

typedef enum fault
{
	FAULT_NONE,
	FAULT_FAIL,
	FAULT_WRONG
} fault;

/* Is the caller phi_guard? */
static int
is_ours(void *caller)
{
	Dl_info where;

	return dladdr(caller, &where) != 0 && strstr(where.dli_fname, "phi_guard.so") != NULL;
}

/* One more byte in the file of the hits. */
static void
note_hit(const char *path)
{
	char name[1024];
	int file;

	snprintf(name, sizeof(name), "%s.hits", path);
	file = open(name, O_WRONLY | O_CREAT | O_APPEND, 0600);
	if (file < 0 || write(file, ".", 1) != 1 || close(file) != 0)
		abort(); /* the test would take the fault for one that was never reached */
}

/* What becomes of this call of a function. */
static fault
fault_of(const char *name, void *caller)
{
	static char counted[32];
	static long calls;
	const char *path = getenv("PHI_FAULT_FILE");
	char serial[32], function[64], how[8];
	FILE *plan;
	long after;
	int fields;

	if (path == NULL || !is_ours(caller) || (plan = fopen(path, "r")) == NULL)
		return FAULT_NONE;
	fields = fscanf(plan, "%31s %63s %ld %7s", serial, function, &after, how);
	fclose(plan);
	if (fields != 4 || strcmp(function, name) != 0)
		return FAULT_NONE;
	if (strcmp(serial, counted) != 0)
		calls = 0;
	strcpy(counted, serial);
	if (++calls <= after)
		return FAULT_NONE;
	note_hit(path);
	return strcmp(how, "wrong") == 0 ? FAULT_WRONG : FAULT_FAIL;
}

/* libcrypto's own. */
static void *
real(const char *name)
{
	void *function = dlsym(RTLD_NEXT, name);

	if (function == NULL)
		abort();
	return function;
}

/* The call is made or not, and its output altered where it has one. */
#define FAULTY(type, name, parameters, arguments, output)              \
	type name parameters                                               \
	{                                                                  \
		type(*function) parameters = (type(*) parameters) real(#name); \
		fault now = fault_of(#name, __builtin_return_address(0));      \
		type result = (type) 0;                                        \
		unsigned char *altered = output;                               \
                                                                       \
		if (now != FAULT_FAIL)                                         \
			result = function arguments;                               \
		if (now == FAULT_WRONG && altered != NULL)                     \
			*altered ^= 1;                                             \
		return result;                                                 \
	}

FAULTY(EVP_CIPHER *, EVP_CIPHER_fetch,
	   (OSSL_LIB_CTX * library, const char *algorithm, const char *properties),
	   (library, algorithm, properties), NULL)
FAULTY(EVP_CIPHER_CTX *, EVP_CIPHER_CTX_new, (void), (), NULL)
FAULTY(int, EVP_CIPHER_CTX_set_padding, (EVP_CIPHER_CTX * context, int pad), (context, pad), NULL)
FAULTY(int, EVP_CIPHER_CTX_get_params, (EVP_CIPHER_CTX * context, OSSL_PARAM params[]),
	   (context, params), params->data)
FAULTY(int, EVP_EncryptInit_ex2,
	   (EVP_CIPHER_CTX * context, const EVP_CIPHER *cipher, const unsigned char *key,
		const unsigned char *iv, const OSSL_PARAM params[]),
	   (context, cipher, key, iv, params), NULL)
FAULTY(int, EVP_CipherInit_ex2,
	   (EVP_CIPHER_CTX * context, const EVP_CIPHER *cipher, const unsigned char *key,
		const unsigned char *iv, int encrypt, const OSSL_PARAM params[]),
	   (context, cipher, key, iv, encrypt, params), NULL)
FAULTY(int, EVP_EncryptUpdate,
	   (EVP_CIPHER_CTX * context, unsigned char *out, int *written, const unsigned char *in,
		int size),
	   (context, out, written, in, size), out)
FAULTY(int, EVP_CipherUpdate,
	   (EVP_CIPHER_CTX * context, unsigned char *out, int *written, const unsigned char *in,
		int size),
	   (context, out, written, in, size), out)
FAULTY(int, EVP_EncryptFinal_ex, (EVP_CIPHER_CTX * context, unsigned char *out, int *written),
	   (context, out, written), NULL)
FAULTY(int, EVP_DecryptFinal_ex, (EVP_CIPHER_CTX * context, unsigned char *out, int *written),
	   (context, out, written), NULL)
FAULTY(int, RAND_bytes, (unsigned char *out, int size), (out, size), NULL)
FAULTY(int, SHA256_Init, (SHA256_CTX * context), (context), NULL)
FAULTY(int, SHA256_Update, (SHA256_CTX * context, const void *data, size_t size),
	   (context, data, size), NULL)
FAULTY(int, SHA256_Final, (unsigned char *out, SHA256_CTX *context), (out, context), out)
FAULTY(EVP_MD_CTX *, EVP_MD_CTX_new, (void), (), NULL)
FAULTY(EVP_PKEY *, EVP_PKEY_new_raw_private_key_ex,
	   (OSSL_LIB_CTX * library, const char *type, const char *properties, const unsigned char *key,
		size_t size),
	   (library, type, properties, key, size), NULL)
FAULTY(EVP_PKEY *, EVP_PKEY_new_raw_public_key_ex,
	   (OSSL_LIB_CTX * library, const char *type, const char *properties, const unsigned char *key,
		size_t size),
	   (library, type, properties, key, size), NULL)
FAULTY(int, EVP_PKEY_get_raw_public_key,
	   (const EVP_PKEY *key, unsigned char *out, size_t *size), (key, out, size), out)
FAULTY(EVP_PKEY_CTX *, EVP_PKEY_CTX_new_from_name,
	   (OSSL_LIB_CTX * library, const char *name, const char *properties),
	   (library, name, properties), NULL)
FAULTY(int, EVP_PKEY_fromdata_init, (EVP_PKEY_CTX * context), (context), NULL)
FAULTY(int, EVP_PKEY_fromdata,
	   (EVP_PKEY_CTX * context, EVP_PKEY **key, int selection, OSSL_PARAM params[]),
	   (context, key, selection, params), NULL)
FAULTY(int, EVP_DigestSignInit_ex,
	   (EVP_MD_CTX * context, EVP_PKEY_CTX **key_context, const char *digest, OSSL_LIB_CTX *library,
		const char *properties, EVP_PKEY *key, const OSSL_PARAM params[]),
	   (context, key_context, digest, library, properties, key, params), NULL)
FAULTY(int, EVP_DigestSign,
	   (EVP_MD_CTX * context, unsigned char *out, size_t *size, const unsigned char *data,
		size_t data_size),
	   (context, out, size, data, data_size), out)
FAULTY(int, EVP_DigestVerifyInit_ex,
	   (EVP_MD_CTX * context, EVP_PKEY_CTX **key_context, const char *digest, OSSL_LIB_CTX *library,
		const char *properties, EVP_PKEY *key, const OSSL_PARAM params[]),
	   (context, key_context, digest, library, properties, key, params), NULL)
FAULTY(int, EVP_DigestVerify,
	   (EVP_MD_CTX * context, const unsigned char *signature, size_t size,
		const unsigned char *data, size_t data_size),
	   (context, signature, size, data, data_size), NULL)
FAULTY(unsigned char *, EVP_Q_mac,
	   (OSSL_LIB_CTX * library, const char *name, const char *properties, const char *algorithm,
		const OSSL_PARAM *params, const void *key, size_t key_size, const unsigned char *data,
		size_t data_size, unsigned char *out, size_t room, size_t *size),
	   (library, name, properties, algorithm, params, key, key_size, data, data_size, out, room,
		size),
	   out)
