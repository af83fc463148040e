/** Of every answer. Nothing is kept by browsers or proxies, framed, or read by pages of others; there is no CORS. */
export function securityHeaders(contentSecurityPolicy = "default-src 'none'; frame-ancestors 'none'") {
  return {
    'Cache-Control': 'no-store',
    'Content-Security-Policy': contentSecurityPolicy,
    'Cross-Origin-Resource-Policy': 'same-origin',
    // With `no-referrer` browsers send forms with the origin `null`, and ours would not be known as ours.
    'Referrer-Policy': 'same-origin',
    'X-Content-Type-Options': 'nosniff',
    'X-Frame-Options': 'DENY',
  } as const
}
