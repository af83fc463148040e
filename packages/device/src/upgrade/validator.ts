/** What `If-Range` may hold (RFC 9110, 13.1.5 and 8.8.2.2). */
export interface ResponseFacts {
  readonly etag?: string | undefined
  readonly 'last-modified'?: string | undefined
  readonly date?: string | undefined
}

/** A time stamp has the grain of a second; so much older than the answer it is, or the file may have changed since. */
const ageMinMs = 60_000

/** The text by which the rest of the same bytes can be asked for; undefined when there is none that is safe. */
export function strongValidator(headers: ResponseFacts): string | undefined {
  if (headers.etag !== undefined)
    return /^"[\x21\x23-\x7e]{0,256}"$/.test(headers.etag) ? headers.etag : undefined
  const modified = headers['last-modified']
  const ageMs = Date.parse(headers.date ?? '') - Date.parse(modified ?? '')
  return modified !== undefined && modified.length <= 64 && ageMs >= ageMinMs ? modified : undefined
}
