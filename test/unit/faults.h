/*-------------------------------------------------------------------------
 * faults.h
 *		Makes libcrypto fail, as core sees it: at a chosen call of a chosen
 *		function, or at an allocation.
 *
 * The linker sends every libcrypto call of core to a __wrap_ function of
 * faults.c (unit.mk asks nm for the names).  The names have to match: a program
 * with a call of core that is not wrapped, or with a wrapped one that core does
 * not make, does not link.
 *-------------------------------------------------------------------------
 */
#ifndef PHI_UNIT_FAULTS_H
#define PHI_UNIT_FAULTS_H

#include <stdbool.h>

/* The functions that can fail; the last one is the allocator. */
#define SYMBOLS(X)                     \
	X(EVP_CIPHER_fetch)                \
	X(EVP_CIPHER_CTX_new)              \
	X(EVP_CIPHER_CTX_set_padding)      \
	X(EVP_CIPHER_CTX_get_params)       \
	X(EVP_EncryptInit_ex2)             \
	X(EVP_EncryptUpdate)               \
	X(EVP_EncryptFinal_ex)             \
	X(EVP_CipherInit_ex2)              \
	X(EVP_CipherUpdate)                \
	X(EVP_DecryptFinal_ex)             \
	X(EVP_PKEY_CTX_new_from_name)      \
	X(EVP_PKEY_fromdata_init)          \
	X(EVP_PKEY_fromdata)               \
	X(EVP_PKEY_new_raw_public_key_ex)  \
	X(EVP_PKEY_new_raw_private_key_ex) \
	X(EVP_PKEY_get_raw_public_key)     \
	X(EVP_DigestSignInit_ex)           \
	X(EVP_DigestSign)                  \
	X(EVP_MD_CTX_new)                  \
	X(EVP_DigestVerifyInit_ex)         \
	X(EVP_DigestVerify)                \
	X(EVP_Q_mac)                       \
	X(SHA256_Init)                     \
	X(SHA256_Update)                   \
	X(SHA256_Final)                    \
	X(allocation)

#define SYMBOL_ID(name) SYM_##name,

typedef enum symbol
{
	SYMBOLS(SYMBOL_ID) SYM_COUNT
} symbol;

/* How a call fails. */
typedef enum fault_mode
{
	FAULT_REFUSE,   /* does nothing; 0 or NULL */
	FAULT_NEGATIVE, /* does its work; -1 */
	FAULT_LATE,     /* does its work; 0 */
	FAULT_SHORT,    /* does its work; 1, but a byte less was written than asked for */
	FAULT_MODES
} fault_mode;

/* The fault that is set; with at 0 there is none. */
typedef struct fault_plan
{
	symbol name;
	fault_mode mode;
	bool lasting; /* every later call fails, too */
	unsigned at;  /* the call that fails, from 1 */
	unsigned calls;
	bool fired;
} fault_plan;

extern fault_plan fault;
extern unsigned long faults[SYM_COUNT]; /* that fired */
extern long handles;                    /* contexts and ciphers that core holds */
extern volatile bool inside_libcrypto;  /* one of the wrapped calls is running */
extern const char *const symbol_names[SYM_COUNT];
extern const char *const mode_names[FAULT_MODES];

/* How many of the modes, in their order, a function knows. */
extern unsigned fault_modes(symbol name);

/* Have libcrypto allocate through the faults; before anything else asks it for memory. */
extern bool faults_in_allocations(void);

#endif /* PHI_UNIT_FAULTS_H */
