/*-------------------------------------------------------------------------
 * tokens.h
 *		A key set and a token of each of its keys, for tests that must not depend
 *		on keys of the run.  The private keys are gone.
 *-------------------------------------------------------------------------
 */
#ifndef PHI_UNIT_TOKENS_H
#define PHI_UNIT_TOKENS_H

static const char key_set[] =
	"{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"ed\",\"x\":\"5IfGlgNmdu1T-orMZNhiqPlwqMUlX1EtZn"
	"44DqRQuYY\"},{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"ec\",\"x\":\"tZJ7sj99OBUlNMhDZwpkpD3Q4qghE6Uj11"
	"CLTlLZ4GQ\",\"y\":\"h_4duE-glhKOMdn8SC_6zYkwFYz4kztlFlraqT_zA8Y\"},{\"kty\":\"RSA\",\"alg\":\"RS256\""
	",\"kid\":\"rs\",\"n\":\"rYTAhOG9X-MLfZHIlchBvlOLsNZBTbPXIJUHMQ69n43DQh2yJ1edQBFPnYbAwUm4mMk8dFn"
	"u5WlJWuCaIGdpQ8yxGFaPlUnSwGd4SeQESzitus__jnRR7CVHdCLyxkpaGGyfqxBBf96iEE-rZGWK04kgDoCF89t"
	"sUhK_68nEC7bd77yVbhFFSXrHNB1uCda03q_1w2PFjzDD8NlIK5W2zwcW2-A14Gx576nxNzc2lFyH_c6UkuPUKuW"
	"m5VzAjMvXw38FnPcqNSh3TDQ8_eYmVfeHPDdILL_kYtUB2-dgx-WOVCEhcQfWBB1NCoz0-eHaHImFoF1qBrM3K16"
	"Opc4ZzQ\",\"e\":\"AQAB\"},{\"kty\":\"RSA\",\"alg\":\"PS256\",\"kid\":\"ps\",\"n\":\"rYTAhOG9X-MLfZHIlchBvlOL"
	"sNZBTbPXIJUHMQ69n43DQh2yJ1edQBFPnYbAwUm4mMk8dFnu5WlJWuCaIGdpQ8yxGFaPlUnSwGd4SeQESzitus__"
	"jnRR7CVHdCLyxkpaGGyfqxBBf96iEE-rZGWK04kgDoCF89tsUhK_68nEC7bd77yVbhFFSXrHNB1uCda03q_1w2PF"
	"jzDD8NlIK5W2zwcW2-A14Gx576nxNzc2lFyH_c6UkuPUKuWm5VzAjMvXw38FnPcqNSh3TDQ8_eYmVfeHPDdILL_k"
	"YtUB2-dgx-WOVCEhcQfWBB1NCoz0-eHaHImFoF1qBrM3K16Opc4ZzQ\",\"e\":\"AQAB\"}]}";

static const char token_eddsa[] =
	"eyJhbGciOiJFZERTQSIsImtpZCI6ImVkIn0.eyJpc3MiOiJpIiwiYXVkIjoiYSIsImV4cCI6MTcwMDAwMDMwMCwi"
	"c3ViIjoiZHIuYSIsInJvbGVzIjoiciIsInB1cnBvc2VzIjoiVFJFQVQifQ.m8D0ZoNMY2ue5tWG_7tj_rkKCzEzH"
	"ZoVIDtaefPm3PjiaYzl1YbR7u0Zupu7ikx8Uv_p8aacIMk_SGWVyJSqCg";

static const char token_es256[] =
	"eyJhbGciOiJFUzI1NiIsImtpZCI6ImVjIn0.eyJpc3MiOiJpIiwiYXVkIjoiYSIsImV4cCI6MTcwMDAwMDMwMCwi"
	"c3ViIjoiZHIuYSIsInJvbGVzIjoiciIsInB1cnBvc2VzIjoiVFJFQVQifQ.p62xZ5bZj6KLC8lbBvs50AJqsO1M8"
	"VylypiSmxEVOKhtKo0ZqsaoleI20OzRCigdi2qdqO20g8x5oMvvFy0VGQ";

static const char token_rs256[] =
	"eyJhbGciOiJSUzI1NiIsImtpZCI6InJzIn0.eyJpc3MiOiJpIiwiYXVkIjoiYSIsImV4cCI6MTcwMDAwMDMwMCwi"
	"c3ViIjoiZHIuYSIsInJvbGVzIjoiciIsInB1cnBvc2VzIjoiVFJFQVQifQ.ZYMpkEOzjbH7SGolX1PR49WrHXThK"
	"xY-7eqq99IZOKlGdPyx9kMNTGsHTmkS7jKN_tdTFY3j5FpZ9qPdU3jOAtDrBe_czGSzmuZRSl0sfg0R99Xp3QDZu"
	"S4ny7N0eEtemxlCsiGH7M4uJ1OfNzXswQXvJjUpz1fH62S4Q9W9CV_WUmqnfpW5ucRfY-eqH3qT_mw3RgLQWeXT7"
	"quxf--ZXU2ZZvENEQ31ED4BkagtKWp_3I3TcFKHGKIA-KSoIakur0Ihzg19ZEiqmT1qM1caPzKq9u0ZBe8ijK2GH"
	"Ait3GXtc_TsCv3CcFypAGidZlyVL1t9cL8T2uGk8xzFhIcUsA";

static const char token_ps256[] =
	"eyJhbGciOiJQUzI1NiIsImtpZCI6InBzIn0.eyJpc3MiOiJpIiwiYXVkIjoiYSIsImV4cCI6MTcwMDAwMDMwMCwi"
	"c3ViIjoiZHIuYSIsInJvbGVzIjoiciIsInB1cnBvc2VzIjoiVFJFQVQifQ.M_vYDxBzl1sw-xMNGA9wxVIx57j2F"
	"3T77WjpRv_sK5QsZnmOo_SswRngjG-nv3R71OvpNe3F4K6FpM2D54JYNGjDYdv-Z-uxIqchFQu25FT1Zrc9Q1ZYu"
	"XfNfkMLB_FUYmp4dU12pyQcAuCihYmqfcHC6WutO1Mzq6ZGIPCXTqO3tT4ISV-YJ_-vPV6p7afUaO_RzZKZMzgRK"
	"1lpid24J8uOCPoRSrO1lspNvxzJs8-KpYMFoJYmkRC6xkGcXvXa2Ji__AS5JjLKI3MXvypcuYMV4nnR4cF-NXDGs"
	"AQFrcvVRLQ3keRq_u1T2yOxBxO5TTWi5BGRvHS99f4hdxA0xg";

#endif /* PHI_UNIT_TOKENS_H */
