/* What went wrong, as one stable word and one line for people. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "parts/http.h"

/* Of X509_V_ERR_...; the numbers are part of OpenSSL's interface. */
enum { NOT_YET_VALID = 9, EXPIRED = 10, SELF_SIGNED = 18, SELF_SIGNED_CHAIN = 19, NO_ISSUER = 20, NO_FIRST = 21 };

static void certificate(CURL *easy, const struct http_url *to, const char *text, char *out, size_t size) {
  long verify = 0;
  curl_easy_getinfo(easy, CURLINFO_SSL_VERIFYRESULT, &verify);
  const char *why = strstr(text, "problem: ");
  why = why ? why + 9 : text;
  switch (verify) {
    case EXPIRED:
      snprintf(out, size, "%s: TLS: the certificate has expired", to->peer);
      break;
    case NOT_YET_VALID:
      snprintf(out, size, "%s: TLS: the certificate is not valid yet; compare the clocks", to->peer);
      break;
    case SELF_SIGNED:
    case SELF_SIGNED_CHAIN:
    case NO_ISSUER:
    case NO_FIRST:
      snprintf(out, size, "%s: TLS: the certificate's issuer is unknown (%s); give its CA as ca_file", to->peer, why);
      break;
    default:
      if (strstr(text, "subject name"))
        snprintf(out, size, "%s: TLS: the certificate is for another name than %.100s", to->peer, to->host);
      else
        snprintf(out, size, "%s: TLS: the certificate is not accepted: %s", to->peer, why);
  }
}

static const char *of_connect(CURL *easy, const struct http_url *to, char *out, size_t size) {
  long error = 0;
  curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &error);
  snprintf(out, size, "cannot connect to %s: %s", to->peer, error ? strerror((int)error) : "no connection");
  switch (error) {
    case ECONNREFUSED:
    case ECONNRESET:
      return "refused";
    case ETIMEDOUT:
      return "timeout";
    case EACCES:
    case EPERM:
      return "permission";
    default:
      return "unreachable";
  }
}

/* What libcurl tells by one code: TLS 1.3 tells of a certificate it wants after the handshake; a proxy may refuse to go
 * on; and an answer in pieces may be none. */
static const char *of_transfer(CURL *easy, const struct http_url *to, const char *text, char *out, size_t size) {
  long status = 0;
  curl_easy_getinfo(easy, CURLINFO_HTTP_CONNECTCODE, &status);
  if (strstr(text, " alert ")) {
    snprintf(out, size, "%s: TLS: %s", to->peer, text);
    return "tls";
  }
  if (strstr(text, "CONNECT tunnel") && status) {
    snprintf(out, size, "the proxy %s answered CONNECT with status %ld", to->peer, status);
    return "status";
  }
  if (strstr(text, "Too large response headers")) {
    snprintf(out, size, "%s: the answer's headers are longer than is read", to->peer);
    return "too_large";
  }
  if (strstr(text, "CONNECT tunnel") || strstr(text, "chunked-encoding")) {
    snprintf(out, size, "%s: the answer cannot be read as HTTP: %s", to->peer, text);
    return "protocol";
  }
  snprintf(out, size, "%s closed the connection before its answer was complete", to->peer);
  return "closed";
}

const char *http_failure(CURL *easy, CURLcode rc, const struct http_url *to, const char *text, char *out, size_t size) {
  if (!*text) text = curl_easy_strerror(rc);
  switch (rc) {
    case CURLE_COULDNT_CONNECT:
      return of_connect(easy, to, out, size);
    case CURLE_OPERATION_TIMEDOUT:
      snprintf(out, size, "%s: no connection in time", to->peer);
      return "timeout";
    case CURLE_PEER_FAILED_VERIFICATION:
      certificate(easy, to, text, out, size);
      return "tls";
    case CURLE_SSL_CERTPROBLEM:
      snprintf(out, size, "%s: TLS: %s%s", to->peer, text,
               strstr(text, "private key") ? " (is it this certificate's key, and without a pass phrase?)" : "");
      return "tls";
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_ENGINE_INITFAILED:
      snprintf(out, size, "%s: TLS: %s", to->peer, text);
      return "tls";
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
      return of_transfer(easy, to, text, out, size);
    case CURLE_OUT_OF_MEMORY:
      snprintf(out, size, "no memory");
      return "memory";
    default:
      snprintf(out, size, "%s: the answer cannot be read as HTTP: %s", to->peer, text);
      return "protocol";
  }
}
